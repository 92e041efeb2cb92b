"""Reading by row: numbers in any order, then the batches that they stand for."""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.order import PipelineShard, epoch_order
from alexnet.pipeline.read.rows import Rows
from alexnet.pipeline.read.stage import EpochStage, Stage, WholeStage

BATCHES_AHEAD = 2


def row_stages(
    records: OpenedSet, config: ReadConfig, shard: PipelineShard
) -> list[Stage]:
    """Shuffled batches of row numbers, then the batches themselves."""
    rows = records.open_rows("train")
    num_examples = records.manifest.split("train").num_examples

    def shuffled(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        order = epoch_order(num_examples, config.seed, epoch)
        return tf.data.Dataset.from_tensor_slices(shard.rows_of(order))

    return [
        EpochStage("shuffle", shuffled),
        WholeStage(rows.stage, lambda numbers: _fetch(numbers, rows, records, config)),
    ]


def rows_in_order(
    records: OpenedSet, config: ReadConfig, split: str, places: tf.Tensor
) -> tf.data.Dataset:
    """The batches of a split whose rows are at `places`, int [batches, batch].

    A place behind the last example is filled with the first one.
    """
    num_examples = records.manifest.split(split).num_examples
    stored = tf.where(places < num_examples, places, 0)
    numbers = tf.data.Dataset.from_tensor_slices(stored)
    return _fetch(numbers, records.open_rows(split), records, config)


def _fetch(
    numbers: tf.data.Dataset, rows: Rows, records: OpenedSet, config: ReadConfig
) -> tf.data.Dataset:
    """The batches of datasets of row numbers, several made at a time.

    What they are fetched from goes with them as elements, which the dataset holds
    itself: a tensor that a function captures lives until Python collects its garbage.
    """
    lent = tf.data.Dataset.from_tensors(rows.lend()).repeat()
    numbers = tf.data.Dataset.zip((numbers, lent))

    def fetch(row: tf.Tensor, lent: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return rows.fetch(row, *lent)

    at_once = BATCHES_AHEAD if rows.uses_all_cpus else _at_once(records, config)
    return numbers.map(fetch, at_once, deterministic=True)


def _at_once(records: OpenedSet, config: ReadConfig) -> int:
    """The batches to make side by side: one a CPU, as far as the budget goes."""
    image_bytes = records.storage.pixel_bytes(records.manifest.config.side)
    affordable = config.ram_budget_bytes // (config.batch_size * image_bytes)
    return max(1, min(num_cpus(), affordable - BATCHES_AHEAD))
