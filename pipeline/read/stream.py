"""The streaming way to read: shards, interleaved in an epoch's order -> batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.read.callback import after_call, lease
from alexnet.pipeline.read.choose import OPEN_SHARDS
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.order import PipelineShard, epoch_order, epoch_seed
from alexnet.pipeline.read.parse import decode, parse
from alexnet.pipeline.read.selection import Selection, annotate
from alexnet.pipeline.read.stage import FOREVER, EpochStage, Stage, WholeStage
from alexnet.pipeline.records.manifest import SplitCard

# Measured: larger read buffers are slower, the page cache reads ahead already.
READ_BUFFER_BYTES = 2**20
# Records taken from an open shard in turn; with the number of these, a first shuffle.
BLOCK_RECORDS = 4
# More records than this mix no better in practice, and delay an epoch's first batch.
MAX_SHUFFLE_RECORDS = 16_384
# The rest of the RAM budget is for batches in flight.
SHUFFLE_SHARE_OF_BUDGET = 0.5


# Batches that are decoded at a time, each on every CPU.
DECODED_AHEAD = 2


def stream_stages(
    records: ExampleSet, config: ReadConfig, shard: PipelineShard, selection: Selection
) -> list[Stage]:
    """Records one by one until they are shuffled, from then on in batches."""
    card, shards = records.manifest.split("train"), Shards(records, "train", selection)
    used = selection.num_examples // config.batch_size * config.batch_size
    size = shuffle_size(card, config.ram_budget_bytes)

    def read(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return shards.interleaved(config.seed, epoch)

    def shuffled(dataset: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return shuffle(dataset, size, config.seed, epoch).take(used)

    return [
        EpochStage("read", read),
        EpochStage("shuffle", shuffled),
        EpochStage("batch", lambda dataset, _: shard.of(dataset)),
        WholeStage("parse", lambda dataset: _parsed(dataset, records)),
        WholeStage("decode", lambda dataset: _decoded(dataset, records, selection)),
    ]


def records_in_order(
    records: ExampleSet, split: str, padding: int, selection: Selection
) -> tf.data.Dataset:
    """The records of a split in order, then the first one, `padding` times."""
    stored = Shards(records, split, selection).in_order()
    return stored.concatenate(stored.take(1).repeat(padding))


def decoded_batches(
    batches: tf.data.Dataset, records: ExampleSet, selection: Selection
) -> tf.data.Dataset:
    """Images and labels of batches of records, and what else was selected."""
    return _decoded(_parsed(batches, records), records, selection)


class Shards:
    """The shard files of a split, and which of their records are read.

    An element is a record, string []; where not the split is read as it is stored, the
    record's row follows, int64 []. Shards in a store are waited for before they are
    opened, and kept until they are read.
    """

    def __init__(self, records: ExampleSet, split: str, selection: Selection) -> None:
        card = records.manifest.split(split)
        counts = [shard.num_examples for shard in card.shards if shard.num_examples]
        self._paths = records.paths(split)
        self._first_rows = np.cumsum([0, *counts])[:-1]
        self._arrivals = records.arrivals(split)
        self._lease = lease(self._arrivals) if self._arrivals else None
        self._numbered = not selection.is_plain
        self._chosen = None
        if selection.rows is not None:
            self._chosen = np.zeros(sum(counts), bool)
            self._chosen[selection.rows] = True

    def interleaved(self, seed: int, epoch: tf.Tensor) -> tf.data.Dataset:
        """The records of one epoch, shards in the epoch's order, interleaved."""
        order = epoch_order(len(self._paths), seed, epoch)
        if self._arrivals:
            order = after_call(order, self._arrivals.expect, self._lease, order)
        shards = tf.gather(self._paths, order), tf.gather(self._first_rows, order)
        return tf.data.Dataset.from_tensor_slices(shards).interleave(
            self._read,
            cycle_length=min(OPEN_SHARDS, len(self._paths)),
            block_length=BLOCK_RECORDS,
            # Ahead of shards that arrive there is nothing to read.
            num_parallel_calls=None if self._arrivals else tf.data.AUTOTUNE,
            deterministic=None if self._arrivals else True,
        )

    def in_order(self) -> tf.data.Dataset:
        """Every record once, in the order of the shards."""
        shards = tf.data.Dataset.from_tensor_slices((self._paths, self._first_rows))
        return shards.flat_map(self._read)

    def _read(self, path: tf.Tensor, first_row: tf.Tensor) -> tf.data.Dataset:
        stored = self._open(path)
        if not self._numbered:
            return stored
        rows = tf.data.Dataset.range(first_row, FOREVER)
        numbered = tf.data.Dataset.zip((stored, rows))
        if self._chosen is None:
            return numbered
        return numbered.filter(lambda _, row: tf.gather(self._chosen, row))

    def _open(self, path: tf.Tensor) -> tf.data.Dataset:
        """The records of a shard that is here, or arrives."""
        if self._arrivals is None:
            return tf.data.TFRecordDataset(path, buffer_size=READ_BUFFER_BYTES)
        path = after_call(path, self._arrivals.take, self._lease, path)
        stored = tf.data.TFRecordDataset(path, buffer_size=READ_BUFFER_BYTES)
        give_back, lent = self._arrivals.give_back, self._lease
        # Behind the last record, and no record itself.
        end = tf.data.Dataset.from_tensors(path)
        end = end.map(lambda path: after_call(path, give_back, lent, path)).skip(1)
        return stored.concatenate(end)


def _parsed(dataset: tf.data.Dataset, records: ExampleSet) -> tf.data.Dataset:
    return dataset.map(
        lambda batch, *rows: (*parse(batch, records.storage), *rows),
        tf.data.AUTOTUNE,
        deterministic=True,
    )


def _decoded(
    dataset: tf.data.Dataset, records: ExampleSet, selection: Selection
) -> tf.data.Dataset:
    config = records.manifest.config
    if selection.is_plain:
        return dataset.map(
            lambda stored, labels: (decode(stored, config), labels),
            DECODED_AHEAD,
            deterministic=True,
        )
    # As elements, which go with the dataset: captured ones stay for a while.
    tables = tf.data.Dataset.from_tensors((0, selection.lend())).repeat()

    def annotated(example: Any, tables: Any) -> tuple[tf.Tensor, ...]:
        stored, labels, rows = example
        return annotate(decode(stored, config), labels, rows, tables[1])

    examples = tf.data.Dataset.zip((dataset, tables))
    return examples.map(annotated, DECODED_AHEAD, deterministic=True)


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
