"""Batches against the records on disk: each example once, whoever reads them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import ReadConfig, Storage
from pipeline.dataset import (
    compose,
    eval_dataset,
    steps_per_epoch,
    train_dataset,
    train_stages,
)
from pipeline.errors import ConfigError
from pipeline.order import Share
from pipeline.reader import RecordSet, open_records
from tests.conftest import SIDE

Batch = tuple[np.ndarray, ...]
Photo = tuple[str, int]  # key and label
STAGES = ["read", "shuffle", "parse", "decode", "batch", "prefetch"]


@pytest.fixture(scope="module")
def records(record_sets: dict[Storage, Path]) -> RecordSet:
    return open_records(record_sets["raw"])


def examples(records: RecordSet, split: str) -> dict[bytes, Photo]:
    """The photo that the pixels of each raw record of a split belong to, in order."""
    found = {}
    for path in sorted(records.folder.glob(f"{split}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            (pixels,) = feature["image/raw"].bytes_list.value
            (name,) = feature["image/filename"].bytes_list.value
            (label,) = feature["image/class/label"].int64_list.value
            found[pixels] = name.decode(), label
    return found


@pytest.fixture(scope="module")
def train(records: RecordSet) -> dict[bytes, Photo]:
    found = examples(records, "train")
    assert len(found) == 18
    return found


@pytest.fixture(scope="module")
def validation(records: RecordSet) -> dict[bytes, Photo]:
    found = examples(records, "validation")
    assert len(found) == 6
    return found


def take(dataset: tf.data.Dataset, batches: int) -> list[Batch]:
    return list(dataset.take(batches).as_numpy_iterator())


def photos_of(batches: list[Batch], names: dict[bytes, Photo]) -> list[Photo]:
    """The photo and label of every row; the label that came with it must be its own."""
    rows = []
    for images, labels, *_ in batches:
        for image, label in zip(images, labels, strict=True):
            name, own = names[image.tobytes()]
            assert label == own
            rows.append((name, own))
    return rows


def same(left: list[Batch], right: list[Batch]) -> bool:
    return all(
        np.array_equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("storage", get_args(Storage))
def test_batches_have_fixed_shapes(
    record_sets: dict[Storage, Path], storage: Storage
) -> None:
    records = open_records(record_sets[storage])
    dataset = train_dataset(records, ReadConfig(batch_size=5))
    assert dataset.element_spec == (
        tf.TensorSpec((5, SIDE, SIDE, 3), tf.uint8),
        tf.TensorSpec((5,), tf.int64),
    )
    (batch,) = take(dataset, 1)
    assert [(a.shape, a.dtype) for a in batch] == [
        ((5, SIDE, SIDE, 3), np.uint8),
        ((5,), np.int64),
    ]


def test_every_epoch_holds_every_example_once_in_another_order(
    records: RecordSet, train: dict[bytes, Photo]
) -> None:
    batches = take(train_dataset(records, ReadConfig(batch_size=6)), 4 * 3)
    epochs = [photos_of(batches[i : i + 3], train) for i in range(0, 12, 3)]
    for epoch in epochs:
        assert sorted(epoch) == sorted(train.values())
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_what_does_not_fill_a_batch_is_left_out_of_its_epoch(
    records: RecordSet, train: dict[bytes, Photo]
) -> None:
    config = ReadConfig(batch_size=4)
    assert steps_per_epoch(records, 4) == 4
    batches = take(train_dataset(records, config), 3 * 4)
    for i in range(0, 12, 4):
        assert len(set(photos_of(batches[i : i + 4], train))) == 16
    # The third epoch alone is the third epoch of all.
    alone = take(train_dataset(records, config, first_epoch=2), 4)
    assert same(alone, batches[8:])


def test_the_order_is_a_function_of_seed_and_epoch(records: RecordSet) -> None:
    one = take(train_dataset(records, ReadConfig(6, seed=1)), 3)
    again = take(train_dataset(records, ReadConfig(6, seed=1)), 3)
    other = take(train_dataset(records, ReadConfig(6, seed=2)), 3)
    assert same(one, again)
    assert not same(one, other)


SHARES = [(1, 2), (2, 2), (2, 4), (3, 6)]  # pipelines, replicas


def interleaved(datasets: list[tf.data.Dataset], replicas: int) -> list[Batch]:
    """The global batches that the pipelines deliver together."""
    turns = replicas // len(datasets)
    delivered = [list(dataset.as_numpy_iterator()) for dataset in datasets]
    steps = len(delivered[0]) // turns
    return [
        tuple(
            np.concatenate(parts)
            for parts in zip(
                *itertools.chain.from_iterable(
                    batches[step * turns : (step + 1) * turns] for batches in delivered
                ),
                strict=True,
            )
        )
        for step in range(steps)
    ]


@pytest.mark.parametrize(("pipelines", "replicas"), SHARES)
def test_shares_of_training_are_the_single_pipelines_batches(
    records: RecordSet, pipelines: int, replicas: int
) -> None:
    config = ReadConfig(batch_size=12)
    steps = 3  # an epoch has one
    datasets = [
        train_dataset(records, config, Share(12, replicas, pipelines, index)).take(
            steps * replicas // pipelines
        )
        for index in range(pipelines)
    ]
    found = interleaved(datasets, replicas)
    assert same(found, take(train_dataset(records, config), steps))


@pytest.mark.parametrize(("pipelines", "replicas"), SHARES)
def test_shares_of_evaluation_are_the_single_pipelines_batches(
    records: RecordSet, pipelines: int, replicas: int
) -> None:
    config = ReadConfig(batch_size=12)
    datasets = [
        eval_dataset(records, config, "train", Share(12, replicas, pipelines, index))
        for index in range(pipelines)
    ]
    lengths = {int(dataset.cardinality()) for dataset in datasets}
    assert lengths == {2 * replicas // pipelines}
    found = interleaved(datasets, replicas)
    whole = list(eval_dataset(records, config, "train").as_numpy_iterator())
    assert len(whole) == 2
    assert same(found, whole)


@pytest.mark.parametrize("batch_size", [1, 4, 6, 9])
def test_evaluation_yields_every_example_once_and_pads_with_weight_0(
    records: RecordSet, validation: dict[bytes, Photo], batch_size: int
) -> None:
    dataset = eval_dataset(records, ReadConfig(batch_size))
    batches = list(dataset.as_numpy_iterator())
    assert int(dataset.cardinality()) == len(batches) == -(-6 // batch_size)
    assert dataset.element_spec == (
        tf.TensorSpec((batch_size, SIDE, SIDE, 3), tf.uint8),
        tf.TensorSpec((batch_size,), tf.int64),
        tf.TensorSpec((batch_size,), tf.float32),
    )
    weights = np.concatenate([batch[2] for batch in batches])
    padding = len(weights) - 6
    assert weights.tolist() == [1] * 6 + [0] * padding
    found = photos_of(batches, validation)
    assert found[:6] == list(validation.values())


def test_the_stages_have_their_names(records: RecordSet) -> None:
    config = ReadConfig(batch_size=6)
    assert [stage.name for stage in train_stages(records, config)] == STAGES
    on_device = train_stages(records, config, device="/CPU:0")
    assert [stage.name for stage in on_device] == [*STAGES, "to device"]


@pytest.mark.parametrize("length", range(1, 7))
def test_every_prefix_of_the_stages_is_a_dataset(
    record_sets: dict[Storage, Path], length: int
) -> None:
    records = open_records(record_sets["jpeg"])
    stages = train_stages(records, ReadConfig(batch_size=6))
    dataset = compose(stages[:length])
    label, labels = tf.TensorSpec((), tf.int64), tf.TensorSpec((6,), tf.int64)
    record = tf.TensorSpec((), tf.string)
    image = tf.TensorSpec((SIDE, SIDE, 3), tf.uint8)
    images = tf.TensorSpec((6, SIDE, SIDE, 3), tf.uint8)
    specs = {
        "read": record,
        "shuffle": record,
        "parse": (record, label),
        "decode": (image, label),
        "batch": (images, labels),
        "prefetch": (images, labels),
    }
    assert dataset.element_spec == specs[stages[length - 1].name]
    # It goes on into a second epoch.
    elements = 4 if length >= 5 else 19
    assert len(list(dataset.take(elements))) == elements


def test_no_stages_are_the_numbers_of_the_epochs() -> None:
    numbers = compose([], first_epoch=5).take(3)
    assert list(numbers.as_numpy_iterator()) == [5, 6, 7]


def test_a_batch_larger_than_the_split_is_refused(records: RecordSet) -> None:
    message = "batch of 19 is larger than the train split, which has 18 examples"
    with pytest.raises(ConfigError, match=message):
        train_stages(records, ReadConfig(batch_size=19))
    assert steps_per_epoch(records, 6, "validation") == 1
    with pytest.raises(ConfigError, match="--batch-size 6 or less"):
        steps_per_epoch(records, 7, "validation")
