"""Which example comes when, and which worker takes it: pure functions, nothing saved.

(seed, epoch) decides an epoch's order; a worker's share is a slice of every global
batch, so that any number of workers sees the batches that one process would.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Share:
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

    def of(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """This pipeline's rows of every global batch of `records`, in order."""
        if self.num_pipelines == 1:
            return records
        rows = self.batch_size // self.num_pipelines
        groups = records.batch(rows, drop_remainder=True)
        return groups.shard(self.num_pipelines, self.pipeline).unbatch()


def epoch_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """int64 [2]: the stateless seed of an epoch."""
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])


def shard_order(num_shards: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """int32 [num_shards]: the order in which an epoch opens the shards."""
    drawn = tf.random.stateless_uniform([num_shards], epoch_seed(seed, epoch))
    return tf.argsort(drawn)
