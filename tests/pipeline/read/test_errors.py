"""Whose fault an error was: the data's, which is then read, or the network's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import alexnet.pipeline.read.errors
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.errors import raise_data_error, reading
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.parse import parse
from alexnet.pipeline.records.storage import STORAGES

BATCH = 4


@pytest.fixture
def records(record_sets: dict[str, Path]) -> OpenedRecords:
    return open_records(record_sets["jpeg"])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The record sets that were read through."""
    read: list[Path] = []
    monkeypatch.setattr(
        alexnet.pipeline.read.errors,
        "require_whole_shards",
        lambda records: read.append(records.folder),
    )
    return read


def whole() -> tf.data.Dataset:
    """float32 [4, 3] and int64 [4] labels of 0 and 1."""
    rows = np.zeros((16, 3), np.float32), np.arange(16) % 2
    return tf.data.Dataset.from_tensor_slices(rows).batch(BATCH).repeat()


def broken() -> tf.data.Dataset:
    """As `whole`, of records that are none."""

    def parsed(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        _, labels = parse(batch, STORAGES["jpeg"])
        return tf.zeros([BATCH, 3]), labels

    records = tf.data.Dataset.from_tensor_slices([b"junk"] * 16).batch(BATCH)
    return records.map(parsed, 2).prefetch(2)


def uneven() -> tf.data.Dataset:
    """Elements of which no batch can be made: no function of ours raises that."""
    lengths = tf.data.Dataset.from_tensor_slices([3, 5, 3, 5])
    return lengths.map(lambda length: (tf.zeros([length]), 0)).batch(2)


def fit(dataset: tf.data.Dataset, num_classes: int = 2, index: int = 0) -> None:
    """Train a network that looks up `index` in a table of two rows, by Keras."""
    pixels = keras.Input([3])

    def row(pixels: tf.Tensor) -> tf.Tensor:
        places = tf.cast(pixels[:, 0], tf.int32) + index
        return tf.gather(tf.ones([2, num_classes]), places)

    logits = keras.layers.Dense(num_classes)(pixels) + keras.layers.Lambda(row)(pixels)
    model = keras.Model(pixels, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    model.fit(dataset, steps_per_epoch=2, shuffle=False, verbose=0)


def fit_mirrored(make: Callable[[], tf.data.Dataset], num_classes: int = 2) -> None:
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        fit(strategy.distribute_datasets_from_function(lambda _: make()), num_classes)


def in_a_function(dataset: tf.data.Dataset) -> None:
    batches = iter(dataset)
    tf.function(lambda: next(batches))()


def reshaped(dataset: tf.data.Dataset) -> None:
    for pixels, _ in dataset:
        tf.reshape(pixels, [7, 9])


def reshaped_in_a_function(dataset: tf.data.Dataset) -> None:
    batches = iter(dataset)

    @tf.function
    def step() -> tf.Tensor:
        pixels, labels = next(batches)
        return tf.reshape(pixels, tf.cast(tf.stack([7 + labels[0], 9]), tf.int32))

    step()


@pytest.mark.parametrize(
    "run",
    [
        lambda: fit(whole(), num_classes=1),  # labels that are out of range
        lambda: fit(whole(), index=7),
        lambda: fit_mirrored(whole, num_classes=1),
        lambda: reshaped(whole()),
        lambda: reshaped_in_a_function(whole()),
    ],
)
def test_the_networks_own_errors_cost_no_reading(
    run: Callable[[], Any], records: OpenedRecords, reads: list[Path]
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError) as error, reading(records):
        run()
    raise_data_error(records, error.value)
    assert reads == []


@pytest.mark.parametrize(
    "run",
    [
        lambda: fit(broken()),
        lambda: fit(uneven()),
        lambda: fit_mirrored(broken),
        lambda: list(broken()),
        lambda: list(uneven()),
        lambda: in_a_function(broken()),
    ],
)
def test_what_no_batch_could_be_made_of_is_looked_for(
    run: Callable[[], Any], records: OpenedRecords, reads: list[Path]
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError), reading(records):
        run()
    assert reads == [records.folder]


def test_others_that_wait_for_a_failed_op_are_no_iterator(
    records: OpenedRecords, reads: list[Path]
) -> None:
    """As TensorFlow tells it where a batch is copied to a GPU."""
    for origin, times in [("{{node dense/MatMul}}", 0), ("IteratorGetNext_1", 1)]:
        text = f"Matrix size-incompatible\n\t [[{origin}]]\n\t [[IteratorGetNext/_7]]"
        raise_data_error(records, tf.errors.InvalidArgumentError(None, None, text))
        assert len(reads) == times


@pytest.mark.parametrize(("label", "times"), [(-1, 1), (1, 0), (2, 1), (9, 1)])
def test_a_label_that_is_no_class_is_the_datas_fault(
    label: int, times: int, records: OpenedRecords, reads: list[Path]
) -> None:
    """Of two classes; where one of them is refused, the network has too few outputs."""
    labels, logits = tf.constant([label]), tf.zeros([1, 1])
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert f"label value of {label} " in str(error.value)
    raise_data_error(records, error.value)
    assert len(reads) == times


def test_lost_data_is_looked_for(records: OpenedRecords, reads: list[Path]) -> None:
    raise_data_error(
        records, tf.errors.DataLossError(None, None, "corrupted record at 0")
    )
    assert reads == [records.folder]


def test_what_the_pipeline_itself_said_is_passed_on(
    records: OpenedRecords, reads: list[Path]
) -> None:
    text = "DataError: a.jpg cannot be used\nTraceback (most recent call last):\n..."
    with pytest.raises(DataError, match=r"^a\.jpg cannot be used$"):
        raise_data_error(records, tf.errors.UnknownError(None, None, text))
    assert reads == []
