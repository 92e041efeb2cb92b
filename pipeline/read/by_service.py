"""Reading through a data service: its workers make the batches of mapped records."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig, Reader
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.by_row import (
    batches_in_epoch,
    rows_at,
    rows_of,
    shuffle_stage,
)
from alexnet.pipeline.read.choose import ReaderChoice
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.read.received import ReceivedBatches
from alexnet.pipeline.read.selection import Selection, annotate
from alexnet.pipeline.read.stage import FOREVER, RemoteStage, Stage
from alexnet.pipeline.read.worker_batches import RowsOf, WorkerBatches
from alexnet.pipeline.records.record_set import RecordSet
from alexnet.pipeline.service.address import Address, parse_address

STAGE = "data service"


def batch_reader(
    records: ExampleSet, asked: Reader, data_service: str | None
) -> ReaderChoice:
    """The reader whose batches are made: here, or by a service that answers.

    Raises:
        ConfigError: the records cannot be read in the way that was asked for.
        ReadError: there is no such service.
    """
    if data_service is None:
        return records.reader(asked)
    choice = service_reader(records, asked)
    parse_address(data_service).require_dispatcher()
    return choice


def service_reader(records: ExampleSet, asked: Reader) -> ReaderChoice:
    """The reader whose batches a data service makes, which is that of mapped records.

    Raises:
        ConfigError: another one was asked for, or the records cannot be read so.
    """
    if asked == "stream":
        raise ConfigError(
            "`reader='stream'` goes through one shard after the other, and a data"
            " service makes batches of records from all over them. Leave out `reader`"
            " or `data_service`."
        )
    if records.decode != "rgb":
        raise ConfigError(
            f"`decode={records.decode!r}` needs libturbojpeg, and the workers of a data"
            " service decode to RGB, without it. Leave out `decode` or `data_service`."
        )
    if records.remote:
        raise ConfigError(
            f"a data service reads record sets in folders, and {records.place} is none."
            " Copy it to a folder under the same path on all hosts, or leave out"
            " `data_service`."
        )
    return ReaderChoice(records.reader("mmap").name, "a data service makes the batches")


def service_stages(
    records: ExampleSet,
    config: ReadConfig,
    shard: PipelineShard,
    selection: Selection,
    dispatcher: Address,
) -> list[Stage]:
    """Shuffled batches of row numbers, then the batches, from the service's workers."""
    service_reader(records, config.reader)
    in_epoch = batches_in_epoch(config, shard, selection)

    def rows_of_batch(number: tf.Tensor) -> tf.Tensor:
        epoch, batch = number // in_epoch, number % in_epoch
        (rows,) = tf.unstack(rows_of(batch[None], epoch, config, shard, selection))
        return rows

    received = _received(records, "train", config, shard, rows_of_batch, dispatcher)

    def receive(
        rows: tf.data.Dataset, first_epoch: int, first_batch: int
    ) -> tf.data.Dataset:
        batches = received.dataset(first_epoch * in_epoch + first_batch, FOREVER)
        return _annotated(batches, rows, selection)

    return [shuffle_stage(config, shard, selection), RemoteStage(STAGE, receive)]


def service_in_order(
    records: ExampleSet,
    config: ReadConfig,
    split: str,
    shard: PipelineShard,
    places: tf.data.Dataset,
    selection: Selection,
    dispatcher: Address,
) -> tf.data.Dataset:
    """The batches of a pipeline's part of a selection, in order.

    Args:
        places: those of each batch in the selection, a dataset of int [batch].
    """
    service_reader(records, config.reader)
    part, size = shard.part(selection.num_examples), shard.per_replica

    def rows_of_batch(number: tf.Tensor) -> tf.Tensor:
        in_batch = part.start + number * size + tf.range(size, dtype=tf.int64)
        behind_last = selection.num_examples
        in_part = tf.where(in_batch < part.stop, in_batch, behind_last)
        return rows_at(selection, in_part)

    received = _received(records, split, config, shard, rows_of_batch, dispatcher)
    steps = -(-selection.num_examples // shard.batch_size)
    batches = received.dataset(0, steps * shard.replicas_here)
    return _annotated(batches, places.map(partial(rows_at, selection)), selection)


def _received(
    records: ExampleSet,
    split: str,
    config: ReadConfig,
    shard: PipelineShard,
    rows_of_batch: RowsOf,
    dispatcher: Address,
) -> ReceivedBatches:
    there = RecordSet(records.folder.absolute(), records.manifest)
    batches = WorkerBatches(there, split, shard.per_replica, rows_of_batch)
    return ReceivedBatches(records, batches, dispatcher, config.ram_budget_bytes)


def _annotated(
    batches: tf.data.Dataset, rows: tf.data.Dataset, selection: Selection
) -> tf.data.Dataset:
    """Batches of as many examples as there are rows, with what was selected of them."""
    tables = tf.data.Dataset.from_tensors((0, selection.lend())).repeat()

    def annotated(batch: Any, rows: tf.Tensor, tables: Any) -> tuple[tf.Tensor, ...]:
        images, labels = batch
        if rows.shape[0] is None:  # the last batch may be smaller
            images, labels = images[: tf.size(rows)], labels[: tf.size(rows)]
        return annotate(images, labels, rows, tables[1])

    return tf.data.Dataset.zip((batches, rows, tables)).map(annotated)
