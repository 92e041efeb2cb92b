"""Shards, or photos -> uint8 batches on the host, for training and for evaluation."""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import count
from alexnet.pipeline.read.by_row import BATCHES_AHEAD, row_stages, rows_in_order
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.read.stage import Stage, WholeStage, compose, host_options
from alexnet.pipeline.read.stream import records_in_order, stream_stages


def steps_per_epoch(records: OpenedSet, batch_size: int, split: str = "train") -> int:
    """Full global batches in an epoch; the rest of the examples wait for the next.

    Raises:
        ConfigError: the batch is larger than the split.
    """
    num_examples = records.manifest.split(split).num_examples
    if batch_size > num_examples:
        raise ConfigError(
            f"a batch of {batch_size} is larger than the {split} split, which has"
            f" {count(num_examples, 'example')}. Choose `batch_size={num_examples}` or"
            " less."
        )
    return num_examples // batch_size


def train_stages(
    records: OpenedSet,
    config: ReadConfig,
    shard: PipelineShard | None = None,
    device: str | None = None,
) -> list[Stage]:
    """The stages from the train split to shuffled batches of one replica.

    The dataset they make yields uint8 [batch, side, side, 3] in [0, 255] and
    int64 [batch] labels.

    Args:
        shard: this pipeline's part of the global batch; by default all of it.
        device: where to copy batches ahead of time, such as "/GPU:0".
    """
    shard = shard or PipelineShard(config.batch_size)
    steps_per_epoch(records, config.batch_size)
    by_row = records.reader(config.reader).random_access
    make = row_stages if by_row else stream_stages
    return [
        *make(records, config, shard),
        WholeStage("prefetch", lambda dataset: _prefetch(dataset, config)),
        *([_to_device(device)] if device else []),
    ]


def train_dataset(
    records: OpenedSet,
    config: ReadConfig,
    shard: PipelineShard | None = None,
    device: str | None = None,
    first_epoch: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """All of `train_stages` as one endless dataset, from a step of an epoch on."""
    shard = shard or PipelineShard(config.batch_size)
    stages = train_stages(records, config, shard, device)
    return compose(stages, first_epoch, first_step * shard.replicas_here)


def eval_dataset(
    records: OpenedSet,
    config: ReadConfig,
    split: str = "validation",
    shard: PipelineShard | None = None,
) -> tf.data.Dataset:
    """Every example of a split once, in order, the last batch padded.

    Yields uint8 [batch, side, side, 3], int64 [batch] labels and float32 [batch]
    weights, which are 0 for padding: weighted metrics are exact on any number of
    replicas.
    """
    shard = shard or PipelineShard(config.batch_size)
    num_examples = records.manifest.split(split).num_examples
    padded = -(-num_examples // config.batch_size) * config.batch_size
    places = shard.rows_of(tf.range(padded))
    if records.reader(config.reader).random_access:
        dataset = rows_in_order(records, config, split, places)
    else:
        dataset = records_in_order(records, split, padded, shard)
    dataset = _with_weights(dataset, places, num_examples)
    return _prefetch(dataset, config).with_options(host_options())


def _with_weights(
    batches: tf.data.Dataset, places: tf.Tensor, num_examples: int
) -> tf.data.Dataset:
    """(images, labels, weights): those at places behind the last example weigh 0."""
    weights = tf.cast(places < num_examples, tf.float32)
    dataset = tf.data.Dataset.zip(
        (batches, tf.data.Dataset.from_tensor_slices(weights))
    ).map(lambda batch, weight: (*batch, weight))
    return dataset.apply(tf.data.experimental.assert_cardinality(len(places)))


def _to_device(device: str) -> Stage:
    copy = tf.data.experimental.prefetch_to_device(device, BATCHES_AHEAD)
    return WholeStage("to device", lambda dataset: dataset.apply(copy))


def _prefetch(dataset: tf.data.Dataset, config: ReadConfig) -> tf.data.Dataset:
    """Batches ahead of their use, as many as the budget allows."""
    options = tf.data.Options()
    options.autotune.ram_budget = config.ram_budget_bytes
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)
