"""The order of examples, and the part of each worker: pure functions, nothing saved.

(seed, epoch) decides an epoch's order; the row at any place in it is computed without
the others. Of rows that are fetched by number a worker takes a slice of every global
batch, so that any number of workers sees the batches that one process would. Of shards
that are streamed it reads its own part alone, and draws its batches from that.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.permutation import hashed, permute


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

    @property
    def rows_here(self) -> int:
        """Rows that this pipeline yields for every step."""
        return self.replicas_here * self.per_replica

    def places(self, batches: tf.Tensor) -> tf.Tensor:
        """int64 [batches, per_replica]: places in the epoch of this pipeline's batches.

        `batches`, int64 [batches], counts those that it yields in an epoch, from 0 on.
        """
        step, turn = batches // self.replicas_here, batches % self.replicas_here
        first = step * self.batch_size + self.pipeline * self.rows_here
        first += turn * self.per_replica
        return first[:, None] + tf.range(self.per_replica, dtype=tf.int64)

    def part(self, count: int) -> range:
        """Return the part of `count` successive examples that this pipeline reads.

        The parts of all pipelines together are all examples. Their sizes differ by one
        at most, so that each has its rows of every full batch.
        """
        here, total = self.pipeline, self.num_pipelines
        return range(count * here // total, count * (here + 1) // total)


def epoch_key(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Return the key, uint64 [], of an epoch's random numbers."""
    start = hashed(tf.cast(tf.constant(seed, tf.int64), tf.uint64))
    return hashed(start + tf.cast(epoch, tf.uint64))


def part_key(seed: int, epoch: tf.Tensor, shard: PipelineShard) -> tf.Tensor:
    """Return a pipeline's key, uint64 []: no two pipelines shuffle parts alike."""
    return hashed(epoch_key(seed, epoch) + tf.constant(shard.pipeline, tf.uint64))


def epoch_order(
    places: tf.Tensor, count: int, seed: int, epoch: tf.Tensor
) -> tf.Tensor:
    """The rows, int64 [...], at `places`, int64 [...], of an order of `count`."""
    return permute(places, count, epoch_key(seed, epoch))
