"""Mixed batches: how many of each set, which classes, and the same again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.mixture import Mixture, mix
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, smooth_photo
from tests.pipeline.read.test_dataset import Batch
from tests.pipeline.read.test_opened_set import joined, keys_of, same, taken


def make_records(folder: Path, classes: str, count: int, side: int = SIDE) -> Path:
    """A record set of `count` photos to train on, those of a class in turn."""
    photos, records = folder / "photos", folder / "records"
    photos.mkdir(parents=True)
    for number in range(count):
        picture = smooth_photo(number, 30, 30)
        picture.save(photos / f"{classes[number % len(classes)]}.{number}.png")
    config = BuildConfig(storage="raw", side=side, shards=2, validation_fraction=0)
    build(scan(photos), records, config, workers=1)
    return records


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> OpenedRecords:
    """Eight photos of the classes a and c."""
    return open_records(make_records(tmp_path_factory.mktemp("few"), "ac", 8))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> OpenedRecords:
    """Thirty photos of the classes b, c and d."""
    return open_records(make_records(tmp_path_factory.mktemp("many"), "bcd", 30))


@pytest.fixture(scope="module")
def mixture(few: OpenedRecords, many: OpenedRecords) -> Mixture:
    return mix([(few, 1), (many, 3)])


def batches_of(mixture: Mixture, steps: int, start_step: int = 0) -> list[Batch]:
    train = mixture.train(
        batch_size=8,
        keys=True,
        weights=lambda key: float(key.split(".")[1]),
        start_step=start_step,
    )
    return taken(train.dataset, steps)


def test_classes_are_merged_by_name(mixture: Mixture) -> None:
    assert mixture.class_names == ("a", "c", "b", "d")
    for _, labels, weights, keys in batches_of(mixture, 8):
        assert weights.tolist() == [float(key.split(b".")[1]) for key in keys]
        assert [mixture.class_names[label] for label in labels] == [
            key.decode()[0] for key in keys
        ]


def test_every_batch_has_each_set_in_its_share(
    few: OpenedRecords, many: OpenedRecords
) -> None:
    """The only a's are of the first set, the only b's and d's of the second."""
    mixed = mix([(few, 1), (many, 3)]).train(
        batch_size=8, classes=["a", "b", "d"], keys=True
    )
    batches = taken(mixed.dataset, 10)
    assert [joined([batch], 1).count(0) for batch in batches] == [2] * 10
    # Spread over the batch, and not in a row.
    places = {tuple(np.flatnonzero(batch[1] == 0).tolist()) for batch in batches}
    assert places == {(1, 5)}
    # Of 4 a's, two in each batch: an epoch of theirs is two steps.
    for start in range(0, 10, 2):
        names = [key for key in keys_of(batches[start : start + 2]) if key[0] == "a"]
        assert sorted(names) == sorted(set(names)) and len(names) == 4
    assert mixed.num_examples == 4 + 20
    assert mixed.steps_per_epoch == 3
    assert mixed.dataset.element_spec[0] == tf.TensorSpec((8, SIDE, SIDE, 3), tf.uint8)


def test_shares_are_rounded_by_largest_remainder(
    few: OpenedRecords, many: OpenedRecords
) -> None:
    train = mix([(few, 0.7), (many, 0.3)]).train(batch_size=4, classes=["a", "b"])
    assert Counter(joined(taken(train.dataset, 1), 1)) == {0: 3, 1: 1}


def test_a_mixture_goes_on_where_it_was(mixture: Mixture) -> None:
    unbroken = batches_of(mixture, 12)
    assert same(batches_of(mixture, 12), unbroken)
    assert same(batches_of(mixture, 5, start_step=7), unbroken[7:])


@pytest.mark.slow
def test_replicas_are_given_the_shares_each(mixture: Mixture) -> None:
    train = mixture.train(batch_size=16, keys=True)
    halves = taken(train.make(PipelineShard(16, 2)), 4)
    assert all(len(images) == 8 for images, *_ in halves)
    whole = taken(train.dataset, 2)
    for step in range(2):
        both = keys_of(halves[2 * step :][:2])
        assert Counter(both) == Counter(keys_of([whole[step]]))
    with pytest.raises(ConfigError, match="cannot be shared evenly"):
        train.make(PipelineShard(16, 3))


@pytest.mark.slow
def test_workers_that_stream_share_every_set(mixture: Mixture) -> None:
    """Five steps are an epoch of the second set, whose b's and d's are twenty."""
    train = mixture.train(batch_size=8, keys=True, reader="stream")
    halves = [taken(train.make(PipelineShard(8, 2, 2, half)), 5) for half in range(2)]
    names = [key for half in halves for key in keys_of(half) if key[0] in "bd"]
    assert len(names) == len(set(names)) == 20


def test_what_cannot_be_mixed_is_told(
    few: OpenedRecords, many: OpenedRecords, tmp_path: Path
) -> None:
    larger = open_records(make_records(tmp_path, "ab", 4, side=24))
    with pytest.raises(ConfigError, match=r"\[16, 16, 3\] in .* and \[24, 24, 3\] in"):
        mix([(few, 1), (larger, 1)])
    for sets in ([], [(few, 0.0)], [(few, -1.0), (many, 2.0)]):
        with pytest.raises(ConfigError, match="sets with shares above 0"):
            mix(sets)
    mixture = mix([(few, 1), (many, 9)])
    with pytest.raises(ConfigError, match=f"{few.folder} is less than one example"):
        mixture.train(batch_size=4)
    with pytest.raises(ConfigError, match=f"batch of 9 is larger than .*{few.folder}"):
        mixture.train(batch_size=90)
    with pytest.raises(ConfigError, match="`classes` has x, and the sets hold a, c"):
        mixture.train(batch_size=20, classes=["x"])
    with pytest.raises(ConfigError, match=f"{few.folder} holds no photos of b. Leave"):
        mixture.train(batch_size=20, classes=["b"])
