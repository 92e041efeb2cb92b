"""Order is a function of (seed, epoch); shares are slices of global batches."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import ConfigError
from pipeline.order import Share, epoch_seed, shard_order


def orders(seed: int, epochs: int, num_shards: int = 10) -> list[list[int]]:
    return [
        shard_order(num_shards, seed, tf.constant(epoch, tf.int64)).numpy().tolist()
        for epoch in range(epochs)
    ]


def test_every_shard_once_and_every_epoch_otherwise() -> None:
    found = orders(seed=1, epochs=20)
    assert all(sorted(order) == list(range(10)) for order in found)
    assert len({tuple(order) for order in found}) == 20


def test_equal_seeds_give_equal_orders_and_others_do_not() -> None:
    assert orders(3, 5) == orders(3, 5)
    assert orders(3, 5) != orders(4, 5)


def test_every_shard_comes_first_as_often() -> None:
    first = [order[0] for order in orders(0, 400, num_shards=4)]
    counts = np.bincount(first, minlength=4)
    # Four standard deviations of a binomial count of 400 draws at 1/4.
    assert np.abs(counts - 100).max() < 4 * np.sqrt(400 * 0.25 * 0.75)


def test_an_order_drawn_inside_tf_data_is_the_one_drawn_outside() -> None:
    drawn = tf.data.Dataset.range(3).map(lambda epoch: shard_order(10, 1, epoch))
    found = [order.tolist() for order in drawn.as_numpy_iterator()]
    assert found == orders(1, 3)


def test_the_epochs_seed_is_the_pair() -> None:
    found = epoch_seed(-5, tf.constant(7, tf.int32))
    assert found.dtype == tf.int64
    assert found.numpy().tolist() == [-5, 7]


@pytest.mark.parametrize(
    ("pipeline", "rows"), [(0, [0, 1, 6, 7]), (1, [2, 3, 8, 9]), (2, [4, 5, 10, 11])]
)
def test_a_share_is_a_slice_of_every_global_batch(
    pipeline: int, rows: list[int]
) -> None:
    share = Share(6, num_replicas=6, num_pipelines=3, pipeline=pipeline)
    records = tf.data.Dataset.range(12)
    assert list(share.of(records).as_numpy_iterator()) == rows
    assert share.per_replica == 1


def test_one_pipeline_takes_all() -> None:
    records = tf.data.Dataset.range(5)
    assert list(Share(2).of(records).as_numpy_iterator()) == [0, 1, 2, 3, 4]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch of 6 .* 4 replicas.* multiple of 4"):
        Share(6, num_replicas=4)
