"""Which example comes when, and which worker takes it: pure functions, nothing saved.

(seed, epoch) decides an epoch's order; a worker's share is a slice of every global
batch, so that any number of workers sees the batches that one process would.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from alexnet.pipeline.errors import ConfigError


@dataclass(frozen=True)
class PipelineShard:
    """The part of every global batch that one input pipeline delivers, and how.

    A pipeline serves the replicas of one worker; it yields their batches in turn.
    """

    batch_size: int
    num_replicas: int = 1
    num_pipelines: int = 1
    pipeline: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.num_replicas:
            raise ConfigError(
                f"a global batch of {self.batch_size} cannot be shared evenly by"
                f" {self.num_replicas} replicas; choose a multiple of"
                f" {self.num_replicas}"
            )

    @property
    def per_replica(self) -> int:
        """Rows of one replica's batch."""
        return self.batch_size // self.num_replicas

    @property
    def replicas_here(self) -> int:
        """Batches that this pipeline yields for every step."""
        return self.num_replicas // self.num_pipelines

    def of(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """Batches [per_replica] of this pipeline's part of `records`, in order."""
        rows = self.batch_size // self.num_pipelines
        groups = records.batch(rows, drop_remainder=True)
        groups = groups.shard(self.num_pipelines, self.pipeline)
        return groups.rebatch(self.per_replica, drop_remainder=True)

    def rows_of(self, order: tf.Tensor) -> tf.Tensor:
        """As `of`, of int64 [examples]: int64 [batches, per_replica]."""
        steps = tf.shape(order)[0] // self.batch_size
        whole = order[: steps * self.batch_size]
        by_step = tf.reshape(whole, [steps, self.num_pipelines, -1])
        return tf.reshape(by_step[:, self.pipeline], [-1, self.per_replica])


def epoch_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """int64 [2]: the stateless seed of an epoch."""
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])


def epoch_order(count: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """int32 [count]: a permutation, any of them as likely as another.

    The keys that are sorted have 53 random bits: two are hardly ever equal.
    """
    drawn = tf.random.stateless_uniform(
        [count], epoch_seed(seed, epoch), dtype=tf.float64
    )
    return tf.argsort(drawn)
