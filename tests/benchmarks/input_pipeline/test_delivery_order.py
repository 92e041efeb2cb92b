"""Labels and positions as they are delivered, against stages made to be known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet.benchmarks.input_pipeline.delivery_order import (
    delivered_labels,
    delivered_positions,
    judge_shuffle,
)
from alexnet.pipeline.config import ReadConfig, Reader, StorageName
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.stage import EpochStage, Stage, WholeStage, compose

EXAMPLES, BATCH = 64, 8


def stages(read_dtype: tf.DType, reverse: bool = False) -> list[Stage]:
    """As a reader's stages: records or rows, shuffled by a reversal or not at all."""

    def read(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        order = np.arange(EXAMPLES, dtype=np.int64)
        if read_dtype == tf.string:
            return tf.data.Dataset.from_tensor_slices(order.astype(str))
        order = order[::-1] if reverse else order
        return tf.data.Dataset.from_tensor_slices(order.reshape(-1, BATCH))

    def shuffle(dataset: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        if not reverse:
            return dataset
        backwards = dataset.batch(EXAMPLES).map(lambda whole: whole[::-1])
        return backwards.unbatch()

    def decode(dataset: tf.data.Dataset) -> tf.data.Dataset:
        number = tf.strings.to_number if read_dtype == tf.string else tf.identity
        return dataset.map(
            lambda taken: (
                tf.zeros([BATCH, 2, 2, 3], tf.uint8),
                tf.cast(number(taken), tf.int64) * 2 // EXAMPLES,
            )
        )

    if read_dtype == tf.string:
        first: list[Stage] = [
            EpochStage("read", read),
            EpochStage("shuffle", shuffle),
            WholeStage(
                "batch", lambda dataset: dataset.batch(BATCH, drop_remainder=True)
            ),
        ]
    else:
        first = [EpochStage("shuffle", read)]
    return [*first, WholeStage("decode", decode), WholeStage("prefetch", lambda d: d)]


KINDS = pytest.mark.parametrize("dtype", [tf.string, tf.int64])


@KINDS
def test_labels_come_in_their_order(dtype: tf.DType) -> None:
    found = delivered_labels(stages(dtype), EXAMPLES - BATCH)
    np.testing.assert_array_equal(found, [0] * 32 + [1] * 24)
    found = delivered_labels(stages(dtype, reverse=True), 33)
    np.testing.assert_array_equal(found, [1] * 32 + [0])


@KINDS
def test_positions_are_those_of_the_shuffle(dtype: tf.DType) -> None:
    found = delivered_positions(stages(dtype), 20, EXAMPLES)
    np.testing.assert_array_equal(found, range(20))
    found = delivered_positions(stages(dtype, reverse=True), 20, EXAMPLES)
    np.testing.assert_array_equal(found, range(63, 43, -1))


@KINDS
def test_an_order_that_is_no_shuffle_is_judged_so(dtype: tf.DType) -> None:
    """Sorted labels in batches of 8: as in the arithmetic of `class_mixing`."""
    quality = judge_shuffle(stages(dtype), BATCH, EXAMPLES)
    assert quality.class_mixing == pytest.approx(8 * 63 / 56)
    assert quality.displacement == 0


@pytest.mark.parametrize("reader", ["stream", "mmap"])
def test_the_real_stages_deliver_these_labels(
    record_sets: dict[StorageName, Path], reader: Reader
) -> None:
    """Against the whole pipeline's own batches."""
    records = open_records(record_sets["raw"])
    real = train_stages(records, ReadConfig(batch_size=6, reader=reader))
    batches = [labels for _, labels in compose(real).take(3)]
    np.testing.assert_array_equal(delivered_labels(real, 18), np.ravel(batches))
    assert sorted(delivered_positions(real, 18, 18)) == list(range(18))
