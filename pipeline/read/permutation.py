"""A permutation of any number of rows by formula: nothing of it is held in memory.

A number is a place in a table that is about square. In turn its column moves on by a
hash of its row, and its row by a hash of its column: a Feistel network, in which every
turn can be undone, so that no two numbers meet. Numbers in the table's few places past
the last row go on until they are among the rows again ("cycle walking": Black and
Rogaway, Ciphers with Arbitrary Finite Domains, 2002).
"""

from __future__ import annotations

from math import isqrt

import tensorflow as tf

# Turns, half of them of columns: more make no order that a test could tell from chance.
ROUNDS = 8
# SplitMix64 (Steele, Lea and Flood 2014): the step of its counter, its two multipliers
# and the shifts before and behind them.
STEP = 0x9E3779B97F4A7C15
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHIFTS = (30, 27, 31)


def permute(numbers: tf.Tensor, count: int, key: tf.Tensor) -> tf.Tensor:
    """Numbers below `count`, int64 [...], to where a permutation of them takes them.

    Args:
        count: of the numbers that are permuted, at most 2**62.
        key: uint64 []; each names another permutation.
    """
    keys = hashed(key + tf.cast(tf.range(1, ROUNDS + 1), tf.uint64) * _uint64(STEP))
    moved = tf.reshape(numbers, [-1])
    outside = tf.range(tf.size(moved))[:, None]
    width, height = map(_uint64, _table(count))

    def move(moved: tf.Tensor, outside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        further = _through_rounds(tf.gather_nd(moved, outside), width, height, keys)
        moved = tf.tensor_scatter_nd_update(moved, outside, further)
        return moved, tf.boolean_mask(outside, further >= count)

    moved, _ = tf.while_loop(
        lambda _, outside: tf.size(outside) > 0,
        move,
        (moved, outside),
        (tf.TensorShape([None]), tf.TensorShape([None, 1])),
    )
    return tf.reshape(moved, tf.shape(numbers))


def hashed(values: tf.Tensor) -> tf.Tensor:
    """uint64 [...] of 64 random bits each, the same ones for the same `values`."""
    for shift, multiplier in zip(SHIFTS, MULTIPLIERS, strict=False):
        values = (values ^ _shifted(values, shift)) * _uint64(multiplier)
    return values ^ _shifted(values, SHIFTS[-1])


def _table(count: int) -> tuple[int, int]:
    """The width and height of a table that has `count` places or a few more.

    An even width: moves of an odd number of columns would only make even permutations.
    """
    width = (isqrt(count - 1) + 2) // 2 * 2
    return width, -(-count // width)


# One graph, of 300 nodes, for all datasets of a process.
@tf.function(
    input_signature=(
        tf.TensorSpec([None], tf.int64),
        *(tf.TensorSpec([], tf.uint64) for _ in ("width", "height")),
        tf.TensorSpec([ROUNDS], tf.uint64),
    ),
    autograph=False,
)
def _through_rounds(
    numbers: tf.Tensor, width: tf.Tensor, height: tf.Tensor, keys: tf.Tensor
) -> tf.Tensor:
    """A permutation of the places of a table, of which `numbers` are some."""
    places = tf.cast(numbers, tf.uint64)
    row, column = places // width, places % width
    for turn, key in enumerate(tf.unstack(keys)):
        if turn % 2:
            row = _move(row, height, hashed(column + key))
        else:
            column = _move(column, width, hashed(row + key))
    return tf.cast(row * width + column, tf.int64)


def _move(places: tf.Tensor, size: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Places below `size`, each moved on by a random number of them, round the end."""
    steps = _shifted(_shifted(bits, 32) * size, 32)
    moved = places + steps
    return tf.where(moved < size, moved, moved - size)


def _shifted(values: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(values, _uint64(bits))


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
