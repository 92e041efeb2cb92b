"""Shards -> undecoded records: the first stages on the way to a batch.

A record set is opened once, which checks that every shard is there and has its size;
reading interleaves the shards in an order drawn for the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from pipeline.errors import DataError
from pipeline.manifest import Manifest, SplitCard, load_manifest
from pipeline.order import epoch_seed, shard_order

# Measured: larger read buffers are slower, the page cache reads ahead already.
READ_BUFFER_BYTES = 2**20
# Shards open at a time, and records taken from one in turn: together a first shuffle.
OPEN_SHARDS = 16
BLOCK_RECORDS = 4
# More records than this mix no better in practice, and delay an epoch's first batch.
MAX_SHUFFLE_RECORDS = 16_384
# The rest of the RAM budget is for batches in flight.
SHUFFLE_SHARE_OF_BUDGET = 0.5


@dataclass(frozen=True)
class RecordSet:
    """A finished record set on disk."""

    folder: Path
    manifest: Manifest

    def paths(self, split: str) -> list[str]:
        """The shard files of a split, in order."""
        shards = self.manifest.split(split).shards
        return [str(self.folder / shard.name) for shard in shards]


def open_records(folder: Path) -> RecordSet:
    """The record set in `folder`, every shard present at its full size.

    Raises:
        DataError: it is no record set, or a shard is missing or cut.
    """
    manifest = load_manifest(folder)
    for card in manifest.splits.values():
        for shard in card.shards:
            path = folder / shard.name
            found = path.stat().st_size if path.is_file() else None
            if found != shard.num_bytes:
                what = "is missing" if found is None else f"has {found} bytes"
                raise DataError(
                    f"{path} {what}; {shard.num_bytes} bytes are expected. Build the"
                    " records again with --overwrite."
                )
    return RecordSet(folder, manifest)


def read_shuffled_shards(
    paths: list[str], seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """The records of one epoch, string [], shards in the epoch's order, interleaved."""
    ordered = tf.gather(tf.constant(paths), shard_order(len(paths), seed, epoch))
    return tf.data.Dataset.from_tensor_slices(ordered).interleave(
        lambda path: tf.data.TFRecordDataset(path, buffer_size=READ_BUFFER_BYTES),
        cycle_length=min(OPEN_SHARDS, len(paths)),
        block_length=BLOCK_RECORDS,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def read_in_order(paths: list[str]) -> tf.data.Dataset:
    """Every record once, string [], in the order of the shards."""
    return tf.data.TFRecordDataset(paths, buffer_size=READ_BUFFER_BYTES)


def shuffle_size(card: SplitCard, ram_budget_bytes: int) -> int:
    """How many undecoded records the shuffle buffer holds within its RAM budget."""
    record_bytes = card.num_bytes / card.num_examples
    affordable = int(SHUFFLE_SHARE_OF_BUDGET * ram_budget_bytes / record_bytes)
    return max(1, min(card.num_examples, MAX_SHUFFLE_RECORDS, affordable))


def shuffle(
    records: tf.data.Dataset, size: int, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """`records` through a shuffle buffer whose draws belong to the epoch."""
    seeds = tf.random.stateless_uniform(
        [], epoch_seed(seed, epoch), 0, tf.int64.max, tf.int64
    )
    return records.shuffle(size, seed=seeds, reshuffle_each_iteration=False)
