"""The streaming way to read: shards, interleaved in an epoch's order -> batches."""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.order import PipelineShard, epoch_order, epoch_seed
from alexnet.pipeline.read.parse import decode, parse
from alexnet.pipeline.read.stage import EpochStage, Stage, WholeStage
from alexnet.pipeline.records.manifest import SplitCard

# Measured: larger read buffers are slower, the page cache reads ahead already.
READ_BUFFER_BYTES = 2**20
# Shards open at a time, and records taken from one in turn: together a first shuffle.
OPEN_SHARDS = 16
BLOCK_RECORDS = 4
# More records than this mix no better in practice, and delay an epoch's first batch.
MAX_SHUFFLE_RECORDS = 16_384
# The rest of the RAM budget is for batches in flight.
SHUFFLE_SHARE_OF_BUDGET = 0.5


# Batches that are decoded at a time, each on every CPU.
DECODED_AHEAD = 2


def stream_stages(
    records: OpenedSet, config: ReadConfig, shard: PipelineShard
) -> list[Stage]:
    """Records one by one until they are shuffled, from then on in batches."""
    card, paths = records.manifest.split("train"), records.paths("train")
    used = card.num_examples // config.batch_size * config.batch_size
    size = shuffle_size(card, config.ram_budget_bytes)

    def read(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return read_shuffled_shards(paths, config.seed, epoch)

    def shuffled(dataset: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return shuffle(dataset, size, config.seed, epoch).take(used)

    return [
        EpochStage("read", read),
        EpochStage("shuffle", shuffled),
        EpochStage("batch", lambda dataset, _: shard.of(dataset)),
        WholeStage("parse", lambda dataset: _parsed(dataset, records)),
        WholeStage("decode", lambda dataset: _decoded(dataset, records)),
    ]


def records_in_order(
    records: OpenedSet, split: str, padded: int, shard: PipelineShard
) -> tf.data.Dataset:
    """The batches of a split in order, filled up to `padded` with the first record."""
    stored = read_in_order(records.paths(split))
    more = padded - records.manifest.split(split).num_examples
    stored = stored.concatenate(stored.take(1).repeat(more))
    return _decoded(_parsed(shard.of(stored), records), records)


def _parsed(dataset: tf.data.Dataset, records: OpenedSet) -> tf.data.Dataset:
    return dataset.map(
        lambda batch: parse(batch, records.storage),
        tf.data.AUTOTUNE,
        deterministic=True,
    )


def _decoded(dataset: tf.data.Dataset, records: OpenedSet) -> tf.data.Dataset:
    return dataset.map(
        lambda stored, labels: (decode(stored, records.manifest.config), labels),
        DECODED_AHEAD,
        deterministic=True,
    )


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
