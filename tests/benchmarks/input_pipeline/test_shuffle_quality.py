"""Shuffle quality of sequences and stages made to be known, by arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from alexnet.benchmarks.input_pipeline.shuffle_quality import (
    class_mixing,
    class_mixing_interval,
    delivered_labels,
    delivered_positions,
    displacement,
    measure_shuffle,
)
from alexnet.pipeline.config import ReadConfig, Reader, StorageName
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.stage import Epoch, EpochStage, Stage, WholeStage, compose
from tests.conftest import slow

COUNT, BATCH = 12_800, 64
# Of the made-up stages.
NUM_STORED, ROWS = 64, 8


def labels(num_classes: int) -> np.ndarray:
    return np.arange(COUNT, dtype=np.int64) * num_classes // COUNT


@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_permuted_sequence_is_near_one(num_classes: int) -> None:
    """200 batches: the ratio's standard deviation is about sqrt(2 / 200), 0.1."""
    permuted = np.random.default_rng(3).permutation(labels(num_classes))
    assert class_mixing(permuted, BATCH) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_sorted_sequence_is_as_far_as_its_batches_are_large(num_classes: int) -> None:
    """Batches of one class each: B^2 p (1 - p) by B p (1 - p) (N - B) / (N - 1)."""
    expected = BATCH * (COUNT - 1) / (COUNT - BATCH)
    assert class_mixing(labels(num_classes), BATCH) == pytest.approx(expected)


def test_an_even_deal_is_zero() -> None:
    assert class_mixing(np.arange(COUNT) % 2, BATCH) == 0


def test_an_odd_count_leaves_its_rest_out() -> None:
    """The rest would be a batch of another size."""
    rest = np.concatenate([np.arange(COUNT) % 2, np.zeros(BATCH - 1, np.int64)])
    assert class_mixing(rest, BATCH) == 0


@pytest.mark.parametrize(
    ("given", "batch_size"), [([1] * 64, 8), ([0, 1, 0, 1], 4), ([0, 1], 4)]
)
def test_what_cannot_be_mixed_is_not_judged(given: list[int], batch_size: int) -> None:
    assert class_mixing(np.array(given), batch_size) is None


def test_the_interval_of_two_even_classes_is_that_of_chi_squared() -> None:
    """200 batches of 64 are near to normal: SciPy's chi-squared of 199, by 199."""
    low, high = class_mixing_interval(labels(2), BATCH) or (0, 0)
    expected = scipy.stats.chi2.ppf([0.025, 0.975], 199) / 199
    assert (low, high) == pytest.approx(tuple(expected), abs=0.02)


def test_the_interval_of_four_is_counted() -> None:
    """Two of the six orders of 0 0 1 1 have batches of one class: 3; the others 0."""
    assert class_mixing_interval(np.array([0, 1, 0, 1]), 2) == pytest.approx((0, 3))


@pytest.mark.parametrize("num_classes", [2, 5, 1000])
def test_most_permutations_lie_in_the_interval(num_classes: int) -> None:
    """Of 100 others 95 are expected to; 86 or fewer come in 1 of 1 000 trials."""
    given, draws = labels(num_classes)[::4], np.random.default_rng(7)
    low, high = class_mixing_interval(given, BATCH) or (0, 0)
    found = [class_mixing(draws.permutation(given), BATCH) or 0 for _ in range(100)]
    assert sum(low <= mixing <= high for mixing in found) > 86
    assert low < 1 < high
    assert not low <= (class_mixing(np.sort(given), BATCH) or 0) <= high


def test_what_cannot_be_mixed_has_no_interval() -> None:
    assert class_mixing_interval(np.ones(64, np.int64), 8) is None


def test_displacement_of_known_orders() -> None:
    """The stored order, a reversal (n / 2 on average, of n / 3) and a permutation."""
    stored = np.arange(10_000)
    assert displacement(stored, 10_000) == 0
    assert displacement(stored[::-1], 10_000) == pytest.approx(1.5, rel=1e-3)
    permuted = np.random.default_rng(3).permutation(10_000)
    assert displacement(permuted, 10_000) == pytest.approx(1, abs=0.03)


def test_displacement_of_the_first_of_many() -> None:
    """A uniform draw of all positions is 1, a draw of the first few far from it."""
    draws = np.random.default_rng(3)
    anywhere = draws.choice(100_000, 5000, replace=False)
    nearby = draws.permutation(5000)
    assert displacement(anywhere, 100_000) == pytest.approx(1, abs=0.05)
    assert displacement(nearby, 100_000) == pytest.approx(5000 / 3 / 50_000, rel=0.1)


def test_a_single_example_has_nowhere_to_go() -> None:
    assert displacement(np.zeros(1, np.int64), 1) is None


def stages(read_dtype: tf.DType, reverse: bool = False) -> list[Stage]:
    """As a reader's stages: records or rows, shuffled by a reversal or not at all."""

    def read(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        order = np.arange(NUM_STORED, dtype=np.int64)
        if read_dtype == tf.string:
            return tf.data.Dataset.from_tensor_slices(order.astype(str))
        order = order[::-1] if reverse else order
        return tf.data.Dataset.from_tensor_slices(order.reshape(-1, ROWS))

    def shuffle(dataset: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        if not reverse:
            return dataset
        backwards = dataset.batch(NUM_STORED).map(lambda whole: whole[::-1])
        return backwards.unbatch()

    def decode(dataset: tf.data.Dataset) -> tf.data.Dataset:
        number = tf.strings.to_number if read_dtype == tf.string else tf.identity
        return dataset.map(
            lambda taken: (
                tf.zeros([ROWS, 2, 2, 3], tf.uint8),
                tf.cast(number(taken), tf.int64) * 2 // NUM_STORED,
            )
        )

    if read_dtype == tf.string:
        first: list[Stage] = [
            EpochStage("read", read),
            EpochStage("shuffle", shuffle),
            WholeStage(
                "batch", lambda dataset: dataset.batch(ROWS, drop_remainder=True)
            ),
        ]
    else:
        first = [EpochStage("shuffle", read)]
    return [*first, WholeStage("decode", decode), WholeStage("prefetch", lambda d: d)]


KINDS = pytest.mark.parametrize("dtype", [tf.string, tf.int64])


@KINDS
def test_labels_come_in_their_order(dtype: tf.DType) -> None:
    found = delivered_labels(stages(dtype), NUM_STORED - ROWS)
    np.testing.assert_array_equal(found, [0] * 32 + [1] * 24)
    found = delivered_labels(stages(dtype, reverse=True), 33)
    np.testing.assert_array_equal(found, [1] * 32 + [0])


@KINDS
def test_positions_are_those_of_the_shuffle(dtype: tf.DType) -> None:
    found = delivered_positions(stages(dtype), 20, NUM_STORED)
    np.testing.assert_array_equal(found, range(20))
    found = delivered_positions(stages(dtype, reverse=True), 20, NUM_STORED)
    np.testing.assert_array_equal(found, range(63, 43, -1))


@KINDS
def test_an_order_that_is_no_shuffle_is_judged_so(dtype: tf.DType) -> None:
    """Sorted labels in batches of 8: as in the arithmetic of `class_mixing`."""
    quality = measure_shuffle(stages(dtype), ROWS, NUM_STORED)
    assert quality.class_mixing == pytest.approx(8 * 63 / 56)
    assert quality.displacement == 0


@pytest.mark.parametrize("reader", [slow("stream"), "mmap"])
def test_the_real_stages_deliver_these_labels(
    record_sets: dict[StorageName, Path], reader: Reader
) -> None:
    """Against the whole pipeline's own batches."""
    records = open_records(record_sets["raw"])
    real = train_stages(records, ReadConfig(batch_size=6, reader=reader))
    batches = [labels for _, labels in compose(real).take(3)]
    np.testing.assert_array_equal(delivered_labels(real, 18), np.ravel(batches))
    assert sorted(delivered_positions(real, 18, 18)) == list(range(18))
