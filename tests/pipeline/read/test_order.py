"""Order is a function of (seed, epoch), and who takes what is arithmetic."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.order import PipelineShard, epoch_key, epoch_order


def order(count: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    return epoch_order(tf.range(count, dtype=tf.int64), count, seed, epoch)


def orders(seed: int, epochs: int, count: int = 10) -> list[list[int]]:
    return [
        order(count, seed, tf.constant(epoch, tf.int64)).numpy().tolist()
        for epoch in range(epochs)
    ]


def test_every_epoch_has_another_order() -> None:
    found = orders(seed=1, epochs=20)
    assert len({tuple(order) for order in found}) == 20


def test_equal_seeds_give_equal_orders_and_others_do_not() -> None:
    assert orders(3, 5) == orders(3, 5)
    assert orders(3, 5) != orders(4, 5)


def test_every_order_is_as_likely_as_another() -> None:
    """Chi-square over the 24 orders of four examples, 960 epochs, 40 of each."""
    epochs = tf.data.Dataset.range(960).map(lambda epoch: order(4, 5, epoch))
    found = Counter(tuple(drawn.tolist()) for drawn in epochs.as_numpy_iterator())
    counts = [found[drawn] for drawn in permutations(range(4))]
    assert sum(counts) == 960
    # Of 23 degrees of freedom: above 49.7 once in a thousand seeds.
    assert sum((count - 40) ** 2 / 40 for count in counts) < 49.7


def test_every_example_comes_at_every_place_as_often() -> None:
    """Chi-square over 7 x 7 places, 1400 epochs, 200 of each."""
    epochs = tf.data.Dataset.range(1400).map(lambda epoch: order(7, -9, epoch))
    places = np.stack(list(epochs.as_numpy_iterator()))
    counts = np.stack([np.bincount(column, minlength=7) for column in places.T])
    # Rows and columns add up, which leaves 6 x 6 degrees of freedom: 68 is one in 1000.
    assert (((counts - 200) ** 2) / 200).sum() < 68


def test_seed_and_epoch_are_no_sum() -> None:
    """No epoch of a seed is one of the next seed's."""
    keys = [
        int(epoch_key(seed, tf.constant(epoch)))
        for seed in range(-9, 9)
        for epoch in range(9)
    ]
    assert len(set(keys)) == len(keys)


# Six replicas of one row each; each pipeline serves those of its worker in turn.
@pytest.mark.parametrize(
    ("pipelines", "pipeline", "batches"),
    [
        (3, 0, [[0], [1], [6], [7]]),
        (3, 1, [[2], [3], [8], [9]]),
        (3, 2, [[4], [5], [10], [11]]),
        (2, 1, [[3], [4], [5], [9], [10], [11]]),
        (6, 4, [[4], [10]]),
    ],
)
def test_a_share_is_a_slice_of_every_global_batch(
    pipelines: int, pipeline: int, batches: list[list[int]]
) -> None:
    share = PipelineShard(6, 6, pipelines, pipeline)
    assert share.per_replica == 1
    assert share.replicas_here == 6 // pipelines
    assert share.rows_here == 6 // pipelines
    numbers = tf.range(len(batches), dtype=tf.int64)
    assert share.places(numbers).numpy().tolist() == batches


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 1), (1, 2), (2, 2), (2, 4)])
def test_shares_put_together_are_the_whole_batches(
    pipelines: int, replicas: int
) -> None:
    """Three steps of 8 places."""
    shares = [
        PipelineShard(8, replicas, pipelines, index) for index in range(pipelines)
    ]
    whole = np.arange(24).reshape(3, pipelines, -1, 8 // replicas)
    for index, share in enumerate(shares):
        mine = whole[:, index].reshape(-1, 8 // replicas)
        numbers = tf.range(3 * share.replicas_here, dtype=tf.int64)
        np.testing.assert_array_equal(share.places(numbers), mine)


@pytest.mark.parametrize("count", [0, 1, 5, 18, 24, 1000])
@pytest.mark.parametrize("pipelines", [1, 2, 3, 7])
def test_parts_are_all_and_each_fills_its_batches(count: int, pipelines: int) -> None:
    batch_size = 2 * pipelines
    shares = [
        PipelineShard(batch_size, pipelines, pipelines, index)
        for index in range(pipelines)
    ]
    parts = [share.part(count) for share in shares]
    assert [place for part in parts for place in part] == list(range(count))
    assert all(first.stop == second.start for first, second in pairwise(parts))
    for share, part in zip(shares, parts, strict=True):
        full_steps, padded_steps = count // batch_size, -(-count // batch_size)
        assert full_steps * share.rows_here <= len(part)
        assert len(part) <= padded_steps * share.rows_here


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch of 6 .* 4 replicas.* multiple of 4"):
        PipelineShard(6, num_replicas=4)
