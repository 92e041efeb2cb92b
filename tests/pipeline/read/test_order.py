"""Order is a function of (seed, epoch); shares are slices of global batches."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.order import PipelineShard, epoch_order, epoch_seed


def orders(seed: int, epochs: int, count: int = 10) -> list[list[int]]:
    return [
        epoch_order(count, seed, tf.constant(epoch, tf.int64)).numpy().tolist()
        for epoch in range(epochs)
    ]


def test_every_example_once_and_every_epoch_otherwise() -> None:
    found = orders(seed=1, epochs=20)
    assert all(sorted(order) == list(range(10)) for order in found)
    assert len({tuple(order) for order in found}) == 20


def test_equal_seeds_give_equal_orders_and_others_do_not() -> None:
    assert orders(3, 5) == orders(3, 5)
    assert orders(3, 5) != orders(4, 5)


def test_the_order_of_one_is_one() -> None:
    assert orders(0, 2, count=1) == [[0], [0]]


def test_every_order_is_as_likely_as_another() -> None:
    """Chi-square over the 24 orders of four examples, 960 epochs, 40 of each."""
    epochs = tf.data.Dataset.range(960).map(lambda epoch: epoch_order(4, 5, epoch))
    found = Counter(tuple(order.tolist()) for order in epochs.as_numpy_iterator())
    counts = [found[order] for order in permutations(range(4))]
    assert sum(counts) == 960
    # Of 23 degrees of freedom: above 49.7 once in a thousand seeds.
    assert sum((count - 40) ** 2 / 40 for count in counts) < 49.7


def test_every_example_comes_at_every_place_as_often() -> None:
    """Chi-square over 7 x 7 places, 1400 epochs, 200 of each."""
    epochs = tf.data.Dataset.range(1400).map(lambda epoch: epoch_order(7, -9, epoch))
    places = np.stack(list(epochs.as_numpy_iterator()))
    counts = np.stack([np.bincount(column, minlength=7) for column in places.T])
    # Rows and columns add up, which leaves 6 x 6 degrees of freedom: 68 is one in 1000.
    assert (((counts - 200) ** 2) / 200).sum() < 68


def test_an_order_drawn_inside_tf_data_is_the_one_drawn_outside() -> None:
    drawn = tf.data.Dataset.range(3).map(lambda epoch: epoch_order(10, 1, epoch))
    found = [order.tolist() for order in drawn.as_numpy_iterator()]
    assert found == orders(1, 3)


def test_one_thread_draws_what_many_draw() -> None:
    """Long enough that TensorFlow shares the work among its threads."""
    count, options = 500_000, tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = 1
    epochs = tf.data.Dataset.range(2, 3).map(lambda epoch: epoch_order(count, 1, epoch))
    (alone,) = epochs.with_options(options).as_numpy_iterator()
    found = epoch_order(count, 1, tf.constant(2, tf.int64)).numpy()
    np.testing.assert_array_equal(found, alone)
    np.testing.assert_array_equal(np.sort(found), np.arange(count))
    # Equal keys would stay in order: as many neighbours rise as fall, within four
    # standard deviations of a random permutation's.
    rising = (np.diff(found) > 0).sum()
    assert abs(rising - (count - 1) / 2) < 4 * np.sqrt((count + 1) / 12)


def test_the_epochs_seed_is_the_pair() -> None:
    found = epoch_seed(-5, tf.constant(7, tf.int32))
    assert found.dtype == tf.int64
    assert found.numpy().tolist() == [-5, 7]


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
    found = share.of(tf.data.Dataset.range(12)).as_numpy_iterator()
    assert [batch.tolist() for batch in found] == batches
    assert share.rows_of(tf.range(12)).numpy().tolist() == batches


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 1), (1, 2), (2, 2), (2, 4)])
def test_shares_put_together_are_the_whole_batches(
    pipelines: int, replicas: int
) -> None:
    """Of 27 rows in batches of 8, the last 3 fill none."""
    rows = np.random.default_rng(0).permutation(27)
    shares = [
        PipelineShard(8, replicas, pipelines, index) for index in range(pipelines)
    ]
    whole = rows[:24].reshape(3, pipelines, -1, 8 // replicas)
    for index, share in enumerate(shares):
        mine = whole[:, index].reshape(-1, 8 // replicas)
        np.testing.assert_array_equal(share.rows_of(tf.constant(rows)), mine)
        records = tf.data.Dataset.from_tensor_slices(rows)
        np.testing.assert_array_equal(list(share.of(records).as_numpy_iterator()), mine)


def test_one_pipeline_takes_all_whole_batches() -> None:
    found = PipelineShard(2).of(tf.data.Dataset.range(5)).as_numpy_iterator()
    assert [batch.tolist() for batch in found] == [[0, 1], [2, 3]]
    assert PipelineShard(2).rows_of(tf.range(5)).numpy().tolist() == [[0, 1], [2, 3]]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch of 6 .* 4 replicas.* multiple of 4"):
        PipelineShard(6, num_replicas=4)
