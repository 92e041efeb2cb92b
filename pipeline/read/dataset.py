"""Shards, or photos -> uint8 batches on the host, for training and for evaluation."""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import count
from alexnet.pipeline.read.by_row import BATCHES_AHEAD, row_stages, rows_in_order
from alexnet.pipeline.read.by_service import service_in_order, service_stages
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.read.selection import Selection, select_all
from alexnet.pipeline.read.stage import Stage, WholeStage, compose, host_options
from alexnet.pipeline.read.stream import (
    decoded_batches,
    records_in_order,
    stream_stages,
)
from alexnet.pipeline.service.address import parse_address


def steps_per_epoch(records: ExampleSet, batch_size: int) -> int:
    """Full global batches in an epoch of the train split; see `full_batches`.

    Raises:
        ConfigError: the batch is larger than the split.
    """
    return full_batches(records.manifest.split("train").num_examples, batch_size)


def full_batches(
    num_examples: int, batch_size: int, whole: str = "the train split"
) -> int:
    """Full global batches in an epoch; other examples wait for another epoch.

    Raises:
        ConfigError: there is no full one.
    """
    if batch_size > num_examples:
        raise ConfigError(
            f"a batch of {batch_size} is larger than {whole}, which has"
            f" {count(num_examples, 'example')}. Choose `batch_size={num_examples}` or"
            " less."
        )
    return num_examples // batch_size


def train_stages(
    records: ExampleSet,
    config: ReadConfig,
    shard: PipelineShard | None = None,
    device: str | None = None,
    selection: Selection | None = None,
    data_service: str | None = None,
) -> list[Stage]:
    """The stages from the train split to shuffled batches of one replica.

    The dataset they make yields uint8 [batch, side, side, 3] in [0, 255] and
    int64 [batch] labels, or what the selection has in their place and behind them.

    Args:
        shard: this pipeline's part of the global batch; by default all of it.
        device: where to copy batches ahead of time, such as "/GPU:0".
        selection: the examples to read; by default all.
        data_service: HOST:PORT of a dispatcher whose workers make the batches.
    """
    shard = shard or PipelineShard(config.batch_size)
    selection = selection or select_all(records, "train")
    full_batches(selection.num_examples, config.batch_size)
    return [
        *_stages_to_batches(records, config, shard, selection, data_service),
        *_delivery(config, device),
    ]


def _stages_to_batches(
    records: ExampleSet,
    config: ReadConfig,
    shard: PipelineShard,
    selection: Selection,
    data_service: str | None,
) -> list[Stage]:
    if data_service is not None:
        dispatcher = parse_address(data_service)
        return service_stages(records, config, shard, selection, dispatcher)
    by_row = records.reader(config.reader).random_access
    make = row_stages if by_row else stream_stages
    return make(records, config, shard, selection)


def train_dataset(
    records: ExampleSet,
    config: ReadConfig,
    shard: PipelineShard | None = None,
    device: str | None = None,
    first_epoch: int = 0,
    first_step: int = 0,
    selection: Selection | None = None,
    data_service: str | None = None,
) -> tf.data.Dataset:
    """All of `train_stages` as one endless dataset, from a step of an epoch on.

    With a reader that streams first, epoch 0 is made by other stages, to like batches.
    """
    shard = shard or PipelineShard(config.batch_size)
    skip = first_step * shard.replicas_here
    by_others = data_service is not None
    if first_epoch or by_others or not records.reader(config.reader).streams_first:
        stages = train_stages(records, config, shard, device, selection, data_service)
        return compose(stages, first_epoch, skip)
    selection = selection or select_all(records, "train")
    steps = full_batches(selection.num_examples, config.batch_size)
    streamed = compose(stream_stages(records, config, shard, selection), 0, skip)
    streamed = streamed.take(steps * shard.replicas_here - skip)
    by_row = compose(row_stages(records, config, shard, selection), first_epoch=1)
    dataset = streamed.concatenate(by_row)
    for stage in _delivery(config, device):
        dataset = stage.apply(dataset)
    return dataset


def eval_dataset(
    records: ExampleSet,
    config: ReadConfig,
    split: str = "validation",
    shard: PipelineShard | None = None,
    selection: Selection | None = None,
    pad: bool = True,
    data_service: str | None = None,
) -> tf.data.Dataset:
    """Every example of a split, or of a selection of it, once, in order.

    Yields uint8 [batch, side, side, 3] and int64 [batch] labels, or what the selection
    has in their place and behind them. Every pipeline reads its part, in as many
    batches as the others. These are padded, and float32 [batch] weights follow the
    labels, which are 0 for padding: weighted metrics are exact on any number of
    replicas. Without `pad`, the last batch is smaller.
    """
    shard = shard or PipelineShard(config.batch_size)
    selection = selection or select_all(records, split)
    num_examples = selection.num_examples
    steps, part = -(-num_examples // config.batch_size), shard.part(num_examples)
    padding = steps * shard.rows_here - len(part) if pad else 0

    def batched(examples: tf.data.Dataset) -> tf.data.Dataset:
        return examples.batch(shard.per_replica, drop_remainder=pad)

    behind_last = tf.data.Dataset.from_tensors(tf.constant(num_examples, tf.int64))
    in_part = tf.data.Dataset.range(part.start, part.stop)
    places = batched(in_part.concatenate(behind_last.repeat(padding)))
    if data_service is not None:
        dispatcher = parse_address(data_service)
        dataset = service_in_order(
            records, config, split, shard, places, selection, dispatcher
        )
    # The same examples in the same order, either way.
    elif records.reader(config.reader).random_access and records.is_here(split):
        dataset = rows_in_order(records, config, split, places, selection)
    else:
        stored = records_in_order(records, split, selection, part, padding)
        dataset = decoded_batches(batched(stored), records, selection)
    if pad:
        dataset = _with_padding(dataset, places, selection)
    num_batches = steps * shard.replicas_here
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return _prefetch(dataset, config).with_options(host_options())


def _with_padding(
    batches: tf.data.Dataset, places: tf.data.Dataset, selection: Selection
) -> tf.data.Dataset:
    """Batches with weights: those at places behind the last example weigh 0."""

    def weigh(batch: tuple[tf.Tensor, ...], places: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images, labels, *more = batch
        weights = tf.cast(places < selection.num_examples, tf.float32)
        if "weights" in selection.tables:
            weights *= more.pop(0)
        return (images, labels, weights, *more)

    return tf.data.Dataset.zip((batches, places)).map(weigh)


def _delivery(config: ReadConfig, device: str | None) -> list[WholeStage]:
    """The stages behind the batches' making."""
    return [
        WholeStage("prefetch", lambda dataset: _prefetch(dataset, config)),
        *([_to_device(device)] if device else []),
    ]


def _to_device(device: str) -> WholeStage:
    copy = tf.data.experimental.prefetch_to_device(device, BATCHES_AHEAD)
    return WholeStage("to device", lambda dataset: dataset.apply(copy))


def _prefetch(dataset: tf.data.Dataset, config: ReadConfig) -> tf.data.Dataset:
    """Batches ahead of their use, as many as the budget allows."""
    options = tf.data.Options()
    options.autotune.ram_budget = config.ram_budget_bytes
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)
