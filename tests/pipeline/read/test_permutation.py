"""An order by formula: a permutation, the same everywhere, and like a real shuffle.

The oracles are the formula again in Python's integers, and NumPy's own shuffle, from
whose figures a fair order's must not differ by more than chance allows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.read.order import epoch_order
from tests.conftest import slow

COUNTS = [*range(1, 21), 100, 101, 1000, 12_000, 65_537]
EPOCHS = 40
BITS_64 = 2**64 - 1


def order(count: int, seed: int = 3, epoch: int = 0) -> np.ndarray:
    places = tf.range(count, dtype=tf.int64)
    return epoch_order(places, count, seed, tf.constant(epoch, tf.int64)).numpy()


def orders(count: int, seed: int = 3, epochs: int = EPOCHS) -> np.ndarray:
    """int64 [epochs, count], drawn inside tf.data."""
    places = tf.range(count, dtype=tf.int64)
    drawn = tf.data.Dataset.range(epochs).map(
        lambda epoch: epoch_order(places, count, seed, epoch)
    )
    return np.stack(list(drawn.as_numpy_iterator()))


def shuffles(count: int, epochs: int = EPOCHS) -> np.ndarray:
    """What NumPy makes of as many epochs."""
    draws = np.random.default_rng(0)
    return np.stack([draws.permutation(count) for _ in range(epochs)])


def mixed(value: int) -> int:
    value &= BITS_64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & BITS_64
    value = (value ^ value >> 27) * 0x94D049BB133111EB & BITS_64
    return value ^ value >> 31


def by_hand(place: int, count: int, seed: int, epoch: int) -> int:
    """The row at a place, by the formula in Python's integers."""
    root = isqrt(count - 1) + 1 if count > 1 else 1
    width = root + root % 2
    height = -(-count // width)
    key = mixed(mixed(seed) + epoch)
    keys = [mixed(key + turn * 0x9E3779B97F4A7C15) for turn in range(1, 9)]
    number = place
    while True:
        row, column = divmod(number, width)
        for first, second in zip(keys[::2], keys[1::2], strict=True):
            column = (column + ((mixed(row + first) >> 32) * width >> 32)) % width
            row = (row + ((mixed(column + second) >> 32) * height >> 32)) % height
        number = row * width + column
        if number < count:
            return number


@pytest.mark.parametrize("count", COUNTS)
def test_every_row_comes_once(count: int) -> None:
    for epoch in range(3):
        assert sorted(order(count, epoch=epoch)) == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 5, 10, 17, 101])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (21, 7), (-5, 2**40)])
def test_it_is_the_formula(count: int, seed: int, epoch: int) -> None:
    by_formula = [by_hand(place, count, seed, epoch) for place in range(count)]
    assert order(count, seed, epoch).tolist() == by_formula


def test_tf_data_draws_what_is_drawn_outside() -> None:
    np.testing.assert_array_equal(
        orders(1000, epochs=3), [order(1000, epoch=epoch) for epoch in range(3)]
    )


@pytest.mark.parametrize("count", [1_281_167, 10**9, 2**62])
def test_any_place_is_found_by_itself(count: int) -> None:
    """Of a billion rows too, in no more memory than is asked for."""
    places = np.random.default_rng(0).integers(count, size=(100, 50))
    found = epoch_order(tf.constant(places), count, 3, tf.constant(1, tf.int64)).numpy()
    assert found.shape == places.shape
    assert found.min() >= 0
    assert found.max() < count
    assert len(np.unique(found)) == len(np.unique(places))
    for row, place in zip(found[:, 0].tolist(), places[:, 0].tolist(), strict=True):
        assert row == by_hand(place, count, 3, 1)


def test_one_thread_draws_what_many_draw() -> None:
    """Long enough that TensorFlow shares the work among its threads."""
    count, options = 500_000, tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = 1
    places = tf.range(count, dtype=tf.int64)
    alone = tf.data.Dataset.from_tensors(places).map(
        lambda numbers: epoch_order(numbers, count, 3, tf.constant(0, tf.int64))
    )
    (found,) = alone.with_options(options).as_numpy_iterator()
    np.testing.assert_array_equal(found, order(count))
    np.testing.assert_array_equal(np.sort(found), np.arange(count))


# --- like a real shuffle


def moved_to_blocks(drawn: np.ndarray) -> np.ndarray:
    """Chi-square of the blocks of places against the blocks of rows, [epochs]."""
    return _chi_square(np.arange(drawn.shape[1]), drawn, drawn.shape[1])


def neighbours(drawn: np.ndarray) -> np.ndarray:
    """Chi-square of a row's block against the block of the row that comes next."""
    return _chi_square(drawn[:, :-1], drawn[:, 1:], drawn.shape[1])


def table_neighbours(drawn: np.ndarray) -> np.ndarray:
    """The same of places one above the other in the formula's table."""
    width = int(np.ceil(np.sqrt(drawn.shape[1]) / 2)) * 2
    return _chi_square(drawn[:, :-width], drawn[:, width:], drawn.shape[1])


def steps(drawn: np.ndarray) -> np.ndarray:
    """Chi-square of the distances from one row to the next, which go round the end."""
    count = drawn.shape[1]
    distances = (drawn[:, 1:] - drawn[:, :-1]) % count
    return _chi_square(np.zeros_like(distances), distances, count)


def class_mixing(drawn: np.ndarray) -> np.ndarray:
    """The variance of the even rows' number in batches of 50, [epochs]."""
    batches = drawn.reshape(len(drawn), -1, 50)
    return (batches % 2).sum(axis=2).var(axis=1)


def from_epoch_to_epoch(drawn: np.ndarray) -> np.ndarray:
    """Chi-square of a place's block of rows against that in the epoch before."""
    return _chi_square(drawn[:-1], drawn[1:], drawn.shape[1])


def unmoved(drawn: np.ndarray) -> np.ndarray:
    """Rows that stay where they were in the epoch before."""
    return (drawn[:-1] == drawn[1:]).sum(axis=1)


def rising(drawn: np.ndarray) -> np.ndarray:
    """Rows that follow a smaller one."""
    return (np.diff(drawn) > 0).sum(axis=1)


def _chi_square(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """[epochs]: how unevenly pairs lie in 16 x 16 blocks, where each is as likely."""
    cells = first * 16 // count * 16 + second * 16 // count
    table = np.stack([np.bincount(epoch, minlength=256) for epoch in cells])
    expected = table.sum(axis=1, keepdims=True) / len(np.unique(cells))
    return ((table - expected) ** 2 / expected).sum(axis=1)


@pytest.mark.parametrize("count", [slow(10_000), 9_950])
@pytest.mark.parametrize(
    "figure",
    [
        *(moved_to_blocks, neighbours, table_neighbours, steps, class_mixing),
        *(from_epoch_to_epoch, unmoved, rising),
    ],
)
def test_it_is_like_a_real_shuffle(
    count: int, figure: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The means over 40 epochs differ by less than four standard errors."""
    found, real = figure(orders(count)), figure(shuffles(count))
    error = np.sqrt((found.var() + real.var()) / len(found))
    assert abs(found.mean() - real.mean()) < 4 * error
