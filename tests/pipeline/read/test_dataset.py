"""Batches against the records on disk: each example once, whoever reads them."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig, Reader, StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.dataset import (
    eval_dataset,
    full_batches,
    steps_per_epoch,
    train_dataset,
    train_stages,
)
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.read.stage import compose
from alexnet.pipeline.records.image import read_image, to_square
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, slow

Batch = tuple[np.ndarray, ...]
Photo = tuple[str, int]  # key and label
READERS: list[Reader] = ["stream", "mmap"]
BY_ROWS: list[StorageName] = ["jpeg", "raw", "yuv420"]
# Every storage, read in every way it can be.
WAYS = [
    *(("jpeg", "mmap"), ("raw", "stream")),
    *(slow("yuv420", "mmap"), slow("original", "stream")),
    *(slow("jpeg", "stream"), slow("raw", "mmap"), slow("yuv420", "stream")),
]
STREAMED = ["read", "shuffle", "batch", "parse", "decode", "prefetch"]
BY_ROW = {
    "jpeg": ["shuffle", "decode", "prefetch"],
    "raw": ["shuffle", "read", "prefetch"],
    "yuv420": ["shuffle", "read", "prefetch"],
}


@pytest.fixture(scope="module")
def records(record_sets: dict[StorageName, Path]) -> OpenedRecords:
    """Those of bare pixels, whose batches are told apart byte by byte."""
    return open_records(record_sets["raw"])


def stored_pixels(feature: Any, storage: StorageName) -> bytes:
    """What a batch should hold of a record, by Pillow."""
    if storage in ("raw", "yuv420"):
        (pixels,) = feature["image/raw"].bytes_list.value
        return bytes(pixels)
    (encoded,) = feature["image/encoded"].bytes_list.value
    if storage == "jpeg":
        return Image.open(io.BytesIO(encoded)).tobytes()
    return to_square(read_image(encoded, SIDE), SIDE, "crop").tobytes()


@cache
def examples(folder: Path, storage: StorageName, split: str) -> dict[bytes, Photo]:
    """The photo that the pixels of each record of a split belong to, in order."""
    found = {}
    for path in sorted(folder.glob(f"{split}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            (name,) = feature["image/filename"].bytes_list.value
            (label,) = feature["image/class/label"].int64_list.value
            found[stored_pixels(feature, storage)] = name.decode(), label
    assert len(found) == {"train": 18, "validation": 6}[split]
    return found


def take(dataset: tf.data.Dataset, batches: int) -> list[Batch]:
    return list(dataset.take(batches).as_numpy_iterator())


def photos_of(
    batches: list[Batch], records: OpenedRecords, split: str = "train"
) -> list[Photo]:
    """The photo and label of every row; the label that came with it must be its own."""
    names = examples(records.folder, records.storage.name, split)
    rows = []
    for images, labels, *_ in batches:
        for image, label in zip(images, labels, strict=True):
            name, own = names[image.tobytes()]
            assert label == own
            rows.append((name, own))
    return rows


def all_of(records: OpenedRecords, split: str = "train") -> list[Photo]:
    return list(examples(records.folder, records.storage.name, split).values())


def same(left: list[Batch], right: list[Batch]) -> bool:
    return all(
        np.array_equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def image_shape(storage: StorageName) -> tuple[int, ...]:
    return (24, 16) if storage == "yuv420" else (16, 16, 3)


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_batches_have_fixed_shapes(
    record_sets: dict[StorageName, Path], storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    dataset = train_dataset(records, ReadConfig(batch_size=5, reader=reader))
    shape = image_shape(storage)
    assert dataset.element_spec == (
        tf.TensorSpec((5, *shape), tf.uint8),
        tf.TensorSpec((5,), tf.int64),
    )
    (batch,) = take(dataset, 1)
    assert [(a.shape, a.dtype.name) for a in batch] == [
        ((5, *shape), "uint8"),
        ((5,), "int64"),
    ]


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_every_epoch_holds_every_example_once_in_another_order(
    record_sets: dict[StorageName, Path], storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    config = ReadConfig(batch_size=6, reader=reader)
    batches = take(train_dataset(records, config), 4 * 3)
    epochs = [photos_of(batches[i : i + 3], records) for i in range(0, 12, 3)]
    for epoch in epochs:
        assert sorted(epoch) == sorted(all_of(records))
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize(("batch_size", "steps"), [slow(4, 4), (5, 3), slow(10, 1)])
@pytest.mark.parametrize("reader", READERS)
def test_what_does_not_fill_a_batch_is_left_out_of_its_epoch(
    records: OpenedRecords, reader: Reader, batch_size: int, steps: int
) -> None:
    config = ReadConfig(batch_size=batch_size, reader=reader)
    assert steps_per_epoch(records, batch_size) == steps
    batches = take(train_dataset(records, config), 3 * steps)
    left_out = set()
    for i in range(0, 3 * steps, steps):
        seen = set(photos_of(batches[i : i + steps], records))
        assert len(seen) == steps * batch_size
        left_out |= {tuple(sorted(set(all_of(records)) - seen))}
    assert len(left_out) > 1
    # The third epoch alone is the third epoch of all.
    alone = take(train_dataset(records, config, first_epoch=2), steps)
    assert same(alone, batches[2 * steps :])


@pytest.mark.parametrize("reader", READERS)
def test_the_order_is_a_function_of_seed_and_epoch(
    records: OpenedRecords, reader: Reader
) -> None:
    one = take(
        train_dataset(records, ReadConfig(batch_size=6, seed=1, reader=reader)), 3
    )
    again = take(
        train_dataset(records, ReadConfig(batch_size=6, seed=1, reader=reader)), 3
    )
    other = take(
        train_dataset(records, ReadConfig(batch_size=6, seed=2, reader=reader)), 3
    )
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_the_order_does_not_depend_on_the_machine(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    reader: Reader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = open_records(record_sets[storage])
    found = []
    for cpus, budget in ((1, 2**26), (7, 2**33)):
        for module in ("by_row", "stage"):
            name = f"alexnet.pipeline.read.{module}.num_cpus"
            monkeypatch.setattr(name, lambda cpus=cpus: cpus)
        config = ReadConfig(batch_size=4, ram_budget_bytes=budget, reader=reader)
        found.append(take(train_dataset(records, config), 6))
    assert same(*found)


@pytest.mark.parametrize(
    ("storage", "side"),
    [
        ("jpeg", 72),
        *(slow("raw", side) for side in (72, 100, 226)),
        *(slow("yuv420", side) for side in (72, 226)),
    ],
)
def test_both_readers_deliver_the_same(
    photos: Path, tmp_path: Path, storage: StorageName, side: int
) -> None:
    """Of pixels that end within a page, in several shards and uneven batches."""
    build(
        scan(photos),
        tmp_path,
        BuildConfig(storage=storage, side=side, shards=5),
        workers=1,
    )
    records = open_records(tmp_path)
    read = [ReadConfig(batch_size=7, reader=reader) for reader in READERS]
    for split in ("train", "validation"):
        assert same(*(take(eval_dataset(records, c, split), 9) for c in read))
    whole = [ReadConfig(batch_size=9, reader=reader) for reader in READERS]
    streamed, mapped = (
        Counter(
            (image.tobytes(), int(label))
            for images, labels in take(train_dataset(records, config), 2)
            for image, label in zip(images, labels, strict=True)
        )
        for config in whole
    )
    assert len(streamed) == 18
    assert streamed == mapped


# --- shares and resumed epochs

SHARES = [slow(1, 2), slow(2, 2), slow(2, 4), (3, 6)]  # pipelines, replicas


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
def test_shares_of_rows_are_the_single_pipelines_batches(
    records: OpenedRecords, pipelines: int, replicas: int
) -> None:
    config = ReadConfig(batch_size=12, reader="mmap")
    steps = 3  # an epoch has one
    datasets = [
        train_dataset(
            records, config, PipelineShard(12, replicas, pipelines, index)
        ).take(steps * replicas // pipelines)
        for index in range(pipelines)
    ]
    found = interleaved(datasets, replicas)
    assert same(found, take(train_dataset(records, config), steps))


@pytest.mark.parametrize(
    ("pipelines", "replicas", "step"),
    [
        (1, 1, 4),
        *itertools.starmap(slow, ((2, 4, 1), (1, 1, 1), (2, 2, 3))),
    ],
)
@pytest.mark.parametrize("reader", READERS)
def test_an_epoch_gone_on_with_is_the_tail_of_an_unbroken_run(
    records: OpenedRecords, reader: Reader, pipelines: int, replicas: int, step: int
) -> None:
    """An epoch has 4 steps of 4 images; the run goes on in the second."""
    config = ReadConfig(batch_size=4, reader=reader)
    turns = replicas // pipelines
    for index in range(pipelines):
        share = PipelineShard(4, replicas, pipelines, index)
        unbroken = take(train_dataset(records, config, share), 3 * 4 * turns)
        going_on = train_dataset(records, config, share, None, 1, step)
        rest = unbroken[(4 + step) * turns :]
        assert same(take(going_on, len(rest)), rest)


def test_what_is_skipped_is_not_decoded(
    record_sets: dict[StorageName, Path], decoded: list[int]
) -> None:
    records = open_records(record_sets["jpeg"])
    config = ReadConfig(batch_size=1, reader="mmap")
    take(train_dataset(records, config, first_step=17), 1)
    # That one, and those that are made ahead.
    assert 1 <= len(decoded) < 17


# --- evaluation


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_evaluation_is_in_the_order_of_the_records(
    record_sets: dict[StorageName, Path], storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    config = ReadConfig(batch_size=9, reader=reader)
    batches = list(eval_dataset(records, config, "train").as_numpy_iterator())
    assert photos_of(batches, records) == all_of(records)
    assert all(weights.tolist() == [1] * 9 for *_, weights in batches)


@pytest.mark.parametrize("batch_size", [1, 4, 6, 9])
@pytest.mark.parametrize("reader", READERS)
def test_evaluation_yields_every_example_once_and_pads_with_weight_0(
    records: OpenedRecords, reader: Reader, batch_size: int
) -> None:
    dataset = eval_dataset(records, ReadConfig(batch_size=batch_size, reader=reader))
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
    found = photos_of(batches, records, "validation")
    assert found[:6] == all_of(records, "validation")


# --- stages


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_the_stages_have_their_names(
    record_sets: dict[StorageName, Path], storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    names = STREAMED if reader == "stream" else BY_ROW[storage]
    config = ReadConfig(batch_size=6, reader=reader)
    assert [stage.name for stage in train_stages(records, config)] == names
    on_device = train_stages(records, config, device="/CPU:0")
    assert [stage.name for stage in on_device] == [*names, "to device"]


@pytest.mark.parametrize(
    ("storage", "reader", "length"),
    [
        *(("raw", "stream", length) for length in range(1, len(STREAMED) + 1)),
        *(slow("jpeg", "mmap", length) for length in range(1, 4)),
        *(slow("yuv420", "mmap", length) for length in range(1, 4)),
    ],
)
def test_every_prefix_of_the_stages_is_a_dataset(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    reader: Reader,
    length: int,
) -> None:
    records = open_records(record_sets[storage])
    stages = train_stages(records, ReadConfig(batch_size=6, reader=reader))[:length]
    dataset = compose(stages)
    labels = tf.TensorSpec((6,), tf.int64)
    record, group = tf.TensorSpec((), tf.string), tf.TensorSpec((6,), tf.string)
    batch = (tf.TensorSpec((6, *image_shape(storage)), tf.uint8), labels)
    specs: dict[str, Any] = {
        **{"read": record, "shuffle": record, "batch": group},
        **{"parse": (group, labels), "decode": batch, "prefetch": batch},
    }
    if reader == "mmap":
        rows = tf.TensorSpec((6,), tf.int64)
        specs |= {"shuffle": rows, "read": batch}
    name = stages[-1].name
    assert dataset.element_spec == specs[name]
    # It goes on into a second epoch.
    elements = 19 if specs[name] == record else 4
    assert len(list(dataset.take(elements))) == elements


def test_no_prefix_lets_tensorflow_copy_the_map(records: OpenedRecords) -> None:
    stages = train_stages(records, ReadConfig(batch_size=6, reader="mmap"))
    for length in range(1, len(stages) + 1):
        options = compose(stages[:length]).options()
        assert options.experimental_optimization.apply_default_optimizations is False


def test_no_stages_are_the_numbers_of_the_epochs() -> None:
    numbers = compose([], first_epoch=5).take(3)
    assert list(numbers.as_numpy_iterator()) == [5, 6, 7]


def test_a_batch_larger_than_the_split_is_refused(
    records: OpenedRecords, photos: Path
) -> None:
    message = "batch of 19 is larger than the train split, which has 18 examples"
    for data in (records, open_photos(photos)):
        with pytest.raises(ConfigError, match=message):
            train_stages(data, ReadConfig(batch_size=19))
    assert full_batches(18, 6) == 3
