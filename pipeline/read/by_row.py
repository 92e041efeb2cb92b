"""Reading by row: row numbers in any order, then the batches of these rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.callback import after_call, once_true
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.order import PipelineShard, epoch_order
from alexnet.pipeline.read.photo_arrivals import PhotoArrivals
from alexnet.pipeline.read.rows import Rows
from alexnet.pipeline.read.selection import Selection, annotate
from alexnet.pipeline.read.stage import Epoch, EpochStage, Stage, WholeStage

BATCHES_AHEAD = 2
# Rows of an order that are found together: enough that what a call costs is little.
ROWS_AT_ONCE = 8192


def row_stages(
    records: ExampleSet, config: ReadConfig, shard: PipelineShard, selection: Selection
) -> list[Stage]:
    """Shuffled batches of row numbers, then the batches themselves."""
    rows = records.open_rows("train")
    return [
        shuffle_stage(config, shard, selection),
        WholeStage(
            rows.stage,
            lambda numbers: _fetch(numbers, rows, records, config, selection),
        ),
    ]


def shuffle_stage(
    config: ReadConfig, shard: PipelineShard, selection: Selection
) -> Stage:
    """Shuffled batches of row numbers."""

    def shuffled(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        batches = tf.data.Dataset.range(
            epoch.first_batch, batches_in_epoch(config, shard, selection)
        )
        at_once = max(1, ROWS_AT_ONCE // shard.per_replica)
        find = partial(
            rows_of, epoch=epoch.number, config=config, shard=shard, selection=selection
        )
        return batches.batch(at_once).map(find).unbatch()

    return EpochStage("shuffle", shuffled)


def batches_in_epoch(
    config: ReadConfig, shard: PipelineShard, selection: Selection
) -> int:
    """The batches that a pipeline yields in an epoch."""
    return selection.num_examples // config.batch_size * shard.replicas_here


def rows_of(
    batches: tf.Tensor,
    epoch: tf.Tensor,
    config: ReadConfig,
    shard: PipelineShard,
    selection: Selection,
) -> tf.Tensor:
    """int64 [batches, per_replica]: the rows of an epoch's batches, int64 [batches]."""
    places, count = shard.places(batches), selection.num_examples
    return selection.take(epoch_order(places, count, config.seed, epoch))


def rows_in_order(
    records: ExampleSet,
    config: ReadConfig,
    split: str,
    places: tf.data.Dataset,
    selection: Selection,
) -> tf.data.Dataset:
    """The batches of a selection's examples at `places`, a dataset of int [batch]."""
    rows, numbers = records.open_rows(split), places.map(partial(rows_at, selection))
    return _fetch(numbers, rows, records, config, selection)


def rows_at(selection: Selection, places: tf.Tensor) -> tf.Tensor:
    """The rows at places, int [batch]; for one behind the last example, the first."""
    return selection.take(tf.where(places < selection.num_examples, places, 0))


def _fetch(
    numbers: tf.data.Dataset,
    rows: Rows,
    records: ExampleSet,
    config: ReadConfig,
    selection: Selection,
) -> tf.data.Dataset:
    """The batches of datasets of row numbers, several made at a time.

    What they are fetched from goes with them as elements, which the dataset holds
    itself: a tensor that a function captures lives until Python collects its garbage.
    """
    lent = _lent(rows, selection)

    def fetch(numbers: tf.Tensor, lent: Any) -> tuple[tf.Tensor, ...]:
        held, tables = lent
        return annotate(*rows.fetch(numbers, *held), numbers, tables)

    at_once = BATCHES_AHEAD if rows.uses_all_cpus else _at_once(records, config)
    batches = tf.data.Dataset.zip((numbers, lent))
    if rows.arrivals:
        batches = _arrived(batches, rows.arrivals)
    return batches.map(fetch, at_once, deterministic=True)


def _arrived(batches: tf.data.Dataset, arrivals: PhotoArrivals) -> tf.data.Dataset:
    """Batches of row numbers and what is lent to them, once their photos are here."""

    def expected(numbers: tf.Tensor, lent: Any) -> Any:
        return after_call((numbers, lent), arrivals.expect, lent[0][-1], numbers)

    def awaited(numbers: tf.Tensor, lent: Any) -> tf.data.Dataset:
        here = once_true(arrivals.have_arrived, lent[0][-1], numbers)
        return here.map(lambda _: (numbers, lent))

    return batches.map(expected).prefetch(BATCHES_AHEAD).flat_map(awaited)


def _lent(rows: Rows, selection: Selection) -> tf.data.Dataset:
    """Return an endless dataset of the tensors that rows and a selection lend.

    Rows that need it are prepared when the first one is asked for, which takes as long
    as their shards are on their way.
    """
    lent = tf.data.Dataset.from_tensors((rows.lend(), selection.lend()))
    if rows.prepare is None:
        return lent.repeat()
    prepare = rows.prepare

    def prepared(held: tuple[tf.Tensor, ...], tables: Any) -> tf.data.Dataset:
        ready = tf.data.Dataset.from_tensors((held, tables)).repeat()
        return once_true(prepare, held[-1]).flat_map(lambda _: ready)

    return lent.flat_map(prepared)


def _at_once(records: ExampleSet, config: ReadConfig) -> int:
    """The batches to make side by side: one a CPU, as far as the budget goes."""
    image_bytes = records.storage.pixel_bytes(records.manifest.config.side)
    affordable = config.ram_budget_bytes // (config.batch_size * image_bytes)
    return max(1, min(num_cpus(), affordable - BATCHES_AHEAD))
