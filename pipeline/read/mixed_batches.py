"""Batches that several sets fill together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.batches import Batches, TrainBatches
from alexnet.pipeline.read.by_row import BATCHES_AHEAD
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.read.selection import Selection
from alexnet.pipeline.setting import MAX_SEED


@dataclass(frozen=True)
class MixedBatches(Batches):
    """Shuffled batches of a mixture, without end; elements as of `TrainBatches`.

    Shares are rounded within a replica's batch, so that every replica has all sets.
    """

    sets: tuple[OpenedSet, ...]
    shares: tuple[float, ...]
    selections: tuple[Selection, ...]
    config: ReadConfig
    class_names: tuple[str, ...]
    start_step: int
    data_service: str | None = None

    @property
    def batch_size(self) -> int:
        """Examples of a global batch."""
        return self.config.batch_size

    @property
    def num_examples(self) -> int:
        """Examples of all sets."""
        return sum(selection.num_examples for selection in self.selections)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in as many examples as the sets have together."""
        return self.num_examples // self.batch_size

    def require_batches(self) -> None:
        """Check what can be checked before a batch is made.

        Raises:
            ConfigError: a set's share of a batch is no example, or more than it has.
        """
        for part in self.parts():
            part.require_batches()

    def make(self, shard: PipelineShard) -> tf.data.Dataset:
        """The part of the batches that one input pipeline delivers."""
        parts = self.parts(shard.num_replicas)
        places = _spread([part.batch_size // shard.num_replicas for part in parts])
        datasets = tuple(
            part.make(replace(shard, batch_size=part.batch_size)) for part in parts
        )

        def stitch(*elements: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            return tuple(
                tf.ensure_shape(
                    tf.dynamic_stitch(places, tensors),
                    [shard.per_replica, *tensors[0].shape[1:]],
                )
                for tensors in map(list, zip(*elements, strict=True))
            )

        mixed = tf.data.Dataset.zip(datasets).map(
            stitch, BATCHES_AHEAD, deterministic=True
        )
        return mixed.prefetch(BATCHES_AHEAD)

    def parts(self, num_replicas: int = 1) -> list[TrainBatches]:
        """The batches of each set, in whole examples to every replica.

        Raises:
            ConfigError: a set's share is no example, or more than the set has.
        """
        per_replica = PipelineShard(self.batch_size, num_replicas).per_replica
        counts = _counts(self.shares, per_replica)
        for records, each in zip(self.sets, counts, strict=True):
            if not each:
                raise ConfigError(
                    f"the share of {records.place} is less than one example in"
                    f" {per_replica}. Choose a larger `batch_size` or share."
                )
        parts = zip(self.sets, self.selections, counts, strict=True)
        return [
            TrainBatches(
                records,
                replace(
                    self.config,
                    batch_size=each * num_replicas,
                    # Sets of one size would else be gone through in one order.
                    seed=(self.config.seed + number) % (MAX_SEED + 1),
                ),
                selection,
                self.class_names,
                self.start_step,
                self.data_service,
            )
            for number, (records, selection, each) in enumerate(parts)
        ]


def _counts(shares: tuple[float, ...], total: int) -> list[int]:
    """`total` given out in `shares`, by largest remainder."""
    exact = np.array(shares) * total / sum(shares)
    counts = np.floor(exact).astype(int)
    first = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[first] += 1
    return [int(each) for each in counts]


def _spread(counts: list[int]) -> list[np.ndarray]:
    """The places of each set's examples in a batch, evenly among the others'."""
    owners = np.repeat(np.arange(len(counts)), counts)
    within = np.concatenate([(np.arange(each) + 0.5) / each for each in counts])
    owners = owners[np.argsort(within, kind="stable")]
    return [np.flatnonzero(owners == owner) for owner in range(len(counts))]
