"""The streaming way to read: shards, interleaved in an epoch's order -> batches.

Each of several pipelines reads its own part of the split, from its first byte to its
last: the same part in every epoch, so that a file system's cache may hold it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.read.callback import after_call, lease, once_true
from alexnet.pipeline.read.choose import OPEN_SHARDS
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.lookup import record_places
from alexnet.pipeline.read.order import PipelineShard, part_key
from alexnet.pipeline.read.parse import decode, parse, records_from
from alexnet.pipeline.read.permutation import permute
from alexnet.pipeline.read.selection import Selection, annotate
from alexnet.pipeline.read.stage import FOREVER, Epoch, EpochStage, Stage, WholeStage
from alexnet.pipeline.records.manifest import SplitCard
from alexnet.pipeline.records.record_set import RecordSet

# Measured: larger read buffers are slower, the page cache reads ahead already.
READ_BUFFER_BYTES = 2**20
# Records taken from each open shard in turn, which is a first shuffle.
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
    card, part = records.manifest.split("train"), shard.part(selection.num_examples)
    shards = Shards(records, "train", selection, part)
    used = selection.num_examples // config.batch_size * shard.rows_here
    size = min(len(part), shuffle_size(card, config.ram_budget_bytes))

    def read(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        return shards.interleaved(part_key(config.seed, epoch.number, shard))

    def shuffled(dataset: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        key = part_key(config.seed, epoch.number, shard)
        return shuffle(dataset, size, key).take(used)

    def batched(dataset: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        batches = dataset.batch(shard.per_replica, drop_remainder=True)
        return batches.skip(epoch.first_batch)

    return [
        EpochStage("read", read),
        EpochStage("shuffle", shuffled),
        EpochStage("batch", batched),
        WholeStage("parse", lambda dataset: _parsed(dataset, records)),
        WholeStage("decode", lambda dataset: _decoded(dataset, records, selection)),
    ]


def records_in_order(
    records: ExampleSet, split: str, selection: Selection, part: range, padding: int
) -> tf.data.Dataset:
    """The records of a part of a split in order, then the split's first as padding."""
    stored = Shards(records, split, selection, part).in_order()
    first = Shards(records, split, selection, range(1)).in_order()
    return stored.concatenate(first.cache().repeat(padding))


def decoded_batches(
    batches: tf.data.Dataset, records: ExampleSet, selection: Selection
) -> tf.data.Dataset:
    """Images and labels of batches of records, and what else was selected."""
    return _decoded(_parsed(batches, records), records, selection)


class Shards:
    """The shard files that a part of a selection lies in, and its records there.

    An element is a record, string []; its row, int64 [], follows unless the selection
    is the split as it is stored. Shards in a store are waited for before they are
    opened, and kept until they are read.
    """

    def __init__(
        self, records: ExampleSet, split: str, selection: Selection, part: range
    ) -> None:
        """Find out where in which shards to begin, and how many records to read.

        Args:
            part: the places in the selection of the examples to read.

        Raises:
            DataError: a shard that is begun in its midst is not what its index says.
        """
        wanted = selection.span(part)
        paths, *places = _pieces(records, split, wanted)
        self._arrivals = records.arrivals(split, paths)
        self._lease = lease(self._arrivals) if self._arrivals else None
        self._pieces = (tf.constant(paths, tf.string), *places)
        self._num_pieces = len(paths)
        self._numbered = not selection.is_plain
        self._first_row, self._chosen = wanted.start, None
        if selection.rows is not None:
            self._chosen = np.zeros(len(wanted), bool)
            chosen = selection.rows[part.start : part.stop]
            self._chosen[chosen - wanted.start] = True

    def interleaved(self, key: tf.Tensor) -> tf.data.Dataset:
        """The records of one epoch, shards in the order of its key, interleaved."""
        numbers = tf.range(self._num_pieces, dtype=tf.int64)
        order = permute(numbers, self._num_pieces, key)
        if self._arrivals:
            order = after_call(order, self._arrivals.expect, self._lease, order)
        pieces = tuple(tf.gather(column, order) for column in self._pieces)
        return tf.data.Dataset.from_tensor_slices(pieces).interleave(
            self._read,
            cycle_length=min(OPEN_SHARDS, self._num_pieces),
            block_length=BLOCK_RECORDS,
            # Ahead of shards that arrive there is nothing to read.
            num_parallel_calls=None if self._arrivals else tf.data.AUTOTUNE,
            deterministic=None if self._arrivals else True,
        )

    def in_order(self) -> tf.data.Dataset:
        """Every record once, in the order of the shards."""
        return tf.data.Dataset.from_tensor_slices(self._pieces).flat_map(self._read)

    def _read(
        self,
        path: tf.Tensor,
        first_byte: tf.Tensor,
        first_row: tf.Tensor,
        count: tf.Tensor,
    ) -> tf.data.Dataset:
        stored = self._open(path, first_byte, count)
        if not self._numbered:
            return stored
        rows = tf.data.Dataset.range(first_row, FOREVER)
        numbered = tf.data.Dataset.zip((stored, rows))
        if self._chosen is None:
            return numbered
        return numbered.filter(
            lambda _, row: tf.gather(self._chosen, row - self._first_row)
        )

    def _open(
        self, path: tf.Tensor, first_byte: tf.Tensor, count: tf.Tensor
    ) -> tf.data.Dataset:
        """The records to read of a shard that is here, or arrives."""
        if self._arrivals is None:
            return records_from(path, first_byte, READ_BUFFER_BYTES).take(count)
        arrived = once_true(self._arrivals.try_take, self._lease, path)
        stored = arrived.flat_map(
            lambda _: records_from(path, first_byte, READ_BUFFER_BYTES).take(count)
        )
        give_back, lent = self._arrivals.give_back, self._lease
        # Called after the last record; it yields none itself.
        end = tf.data.Dataset.from_tensors(path)
        end = end.map(lambda path: after_call(path, give_back, lent, path)).skip(1)
        return stored.concatenate(end)


def _pieces(
    records: ExampleSet, split: str, rows: range
) -> tuple[list[str], tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shards that hold `rows`: paths, the first bytes, rows and numbers of records."""
    card = records.manifest.split(split)
    shards = [shard for shard in card.shards if shard.num_examples]
    edges = np.cumsum([0, *(shard.num_examples for shard in shards)])
    first_rows = np.maximum(edges[:-1], rows.start)
    counts = np.minimum(edges[1:], rows.stop) - first_rows
    held = np.flatnonzero(counts > 0).tolist()
    paths = records.paths(split)
    record_set = RecordSet(records.folder, records.manifest, records.remote)

    def first_byte(number: int) -> int:
        before = first_rows[number] - edges[number]
        if not before:
            return 0
        with record_set.held(shards[number]):
            return int(record_places(record_set, shards[number])[before, 0])

    return (
        [paths[number] for number in held],
        tf.constant([first_byte(number) for number in held], tf.int64),
        tf.constant(first_rows[held], tf.int64),
        tf.constant(counts[held], tf.int64),
    )


def _parsed(dataset: tf.data.Dataset, records: ExampleSet) -> tf.data.Dataset:
    return dataset.map(
        lambda batch, *rows: (*parse(batch, records.storage), *rows),
        tf.data.AUTOTUNE,
        deterministic=True,
    )


def _decoded(
    dataset: tf.data.Dataset, records: ExampleSet, selection: Selection
) -> tf.data.Dataset:
    storage, config = records.storage, records.manifest.config
    if selection.is_plain:
        return dataset.map(
            lambda stored, labels: (decode(stored, config, storage), labels),
            DECODED_AHEAD,
            deterministic=True,
        )
    # As elements, which go with the dataset: captured ones stay for a while.
    tables = tf.data.Dataset.from_tensors((0, selection.lend())).repeat()

    def annotated(example: Any, tables: Any) -> tuple[tf.Tensor, ...]:
        stored, labels, rows = example
        images = decode(stored, config, storage)
        return annotate(images, labels, rows, tables[1])

    examples = tf.data.Dataset.zip((dataset, tables))
    return examples.map(annotated, DECODED_AHEAD, deterministic=True)


def read_in_order(paths: list[str]) -> tf.data.Dataset:
    """Every record once, string [], in the order of the shards."""
    return tf.data.TFRecordDataset(paths, buffer_size=READ_BUFFER_BYTES)


def shuffle_size(card: SplitCard, ram_budget_bytes: int) -> int:
    """Return how many undecoded records the shuffle buffer holds within its budget."""
    record_bytes = card.num_bytes / card.num_examples
    affordable = int(SHUFFLE_SHARE_OF_BUDGET * ram_budget_bytes / record_bytes)
    return max(1, min(card.num_examples, MAX_SHUFFLE_RECORDS, affordable))


def shuffle(records: tf.data.Dataset, size: int, key: tf.Tensor) -> tf.data.Dataset:
    """`records` through a shuffle buffer whose draws are those of an epoch's key."""
    seed = tf.bitcast(key, tf.int64)
    return records.shuffle(size, seed=seed, reshuffle_each_iteration=False)
