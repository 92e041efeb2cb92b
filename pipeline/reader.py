"""How record sets are read, and the streaming way: shards -> undecoded records.

Streaming interleaves the shards in an order drawn for the epoch.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from alexnet.pipeline.config import Reader
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import format_bytes
from alexnet.pipeline.layout import PAGE_BYTES
from alexnet.pipeline.machine import REMOTE, file_system, read_memory
from alexnet.pipeline.manifest import SplitCard
from alexnet.pipeline.order import epoch_order, epoch_seed
from alexnet.pipeline.record_set import RecordSet

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
class ReaderChoice:
    """How a record set is read, and why so."""

    name: Literal["stream", "mmap", "photos"]
    reason: str

    @property
    def random_access(self) -> bool:
        """Whether examples are fetched by number, in any order."""
        return self.name != "stream"


def choose_reader(records: RecordSet, asked: Reader = "auto") -> ReaderChoice:
    """The reader that was asked for, or the better one for these records.

    Raises:
        ConfigError: they cannot be read in the way that was asked for.
    """
    if not records.has_records and asked != "auto":
        raise ConfigError(
            f"--reader {asked} reads records, and {records.folder} holds images. Leave"
            " it out, or make records with `alexnet records build`."
        )
    if not records.has_records:
        return ReaderChoice("photos", f"{records.folder} holds images, no records")
    hindrance = _why_not_mapped(records)
    if asked == "mmap" and hindrance:
        raise ConfigError(
            f"--reader mmap cannot read {records.folder}: {hindrance}. Use --reader"
            " stream, or build the records with --storage jpeg, raw or yuv420."
        )
    if asked != "auto":
        return ReaderChoice(asked, "it was asked for")
    if hindrance:
        return ReaderChoice("stream", hindrance)
    kind = file_system(records.folder) or "a local disk"
    if kind.startswith(REMOTE):
        return ReaderChoice("stream", f"the records are on a network ({kind})")
    memory, num_bytes = read_memory(), records.num_bytes
    if memory and num_bytes > memory.usable_bytes:
        # Records from all over a disk: 254 images/s, one shard after another: 1 510.
        return ReaderChoice(
            "stream",
            f"the records' {format_bytes(num_bytes)} are more than the"
            f" {format_bytes(memory.usable_bytes)} of memory",
        )
    return ReaderChoice("mmap", f"the records are {records.storage} on {kind}")


def _why_not_mapped(records: RecordSet) -> str | None:
    layout = records.manifest.layout
    if records.storage == "original":
        return "they hold original files, whose decoding is what takes the time"
    if layout is not None and layout.stride_bytes % mmap.PAGESIZE:
        return f"this machine's pages are {mmap.PAGESIZE} bytes, not {PAGE_BYTES}"
    return None


def read_shuffled_shards(
    paths: list[str], seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """The records of one epoch, string [], shards in the epoch's order, interleaved."""
    ordered = tf.gather(tf.constant(paths), epoch_order(len(paths), seed, epoch))
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
