"""The host's part of the path as a list of named stages: shards -> uint8 batches.

Training composes all of them, the bench times prefixes of the same list.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from pipeline.config import ReadConfig
from pipeline.errors import ConfigError
from pipeline.order import Share
from pipeline.reader import (
    RecordSet,
    read_in_order,
    read_shuffled_shards,
    shuffle,
    shuffle_size,
)
from pipeline.record import decode, parse

BATCHES_AHEAD = 2
FOREVER = 2**62


@dataclass(frozen=True)
class Stage:
    """One named step; `apply` takes what the steps before it made.

    A stage `of_epoch` runs anew in every epoch and is also given the epoch's number;
    its first one is given a dataset of that number alone.
    """

    name: str
    apply: Callable[..., tf.data.Dataset]
    of_epoch: bool = False


def compose(stages: Sequence[Stage], first_epoch: int = 0) -> tf.data.Dataset:
    """The dataset the stages make, epoch after epoch without end.

    `stages` may be any prefix of `train_stages`.
    """

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        dataset = tf.data.Dataset.from_tensors(epoch)
        for stage in stages:
            if stage.of_epoch:
                dataset = stage.apply(dataset, epoch)
        return dataset

    dataset = tf.data.Dataset.range(first_epoch, FOREVER).flat_map(one_epoch)
    for stage in stages:
        if not stage.of_epoch:
            dataset = stage.apply(dataset)
    return dataset


def steps_per_epoch(records: RecordSet, batch_size: int, split: str = "train") -> int:
    """Full global batches in an epoch; the rest of the examples wait for the next.

    Raises:
        ConfigError: the batch is larger than the split.
    """
    num_examples = records.manifest.split(split).num_examples
    if batch_size > num_examples:
        raise ConfigError(
            f"a batch of {batch_size} is larger than the {split} split, which has"
            f" {num_examples} examples. Choose --batch-size {num_examples} or less."
        )
    return num_examples // batch_size


def train_stages(
    records: RecordSet,
    config: ReadConfig,
    share: Share | None = None,
    device: str | None = None,
) -> list[Stage]:
    """The stages from the train split to shuffled batches of one replica.

    The dataset they make yields uint8 [batch, side, side, 3] in [0, 255] and
    int64 [batch] labels.

    Args:
        share: this pipeline's part of the global batch; by default all of it.
        device: where to copy batches ahead of time, such as "/GPU:0".
    """
    share = share or Share(config.batch_size)
    used = steps_per_epoch(records, config.batch_size) * config.batch_size
    paths = records.paths("train")
    size = shuffle_size(records.manifest.split("train"), config.ram_budget_bytes)

    def read(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return read_shuffled_shards(paths, config.seed, epoch)

    def shuffled(dataset: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return share.of(shuffle(dataset, size, config.seed, epoch).take(used))

    return [
        Stage("read", read, of_epoch=True),
        Stage("shuffle", shuffled, of_epoch=True),
        *_decoding_stages(records, share.per_replica),
        Stage("prefetch", lambda dataset: _prefetch(dataset, config)),
        *([_to_device(device)] if device else []),
    ]


def train_dataset(
    records: RecordSet,
    config: ReadConfig,
    share: Share | None = None,
    device: str | None = None,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """All of `train_stages` as one endless dataset, from the start of an epoch on."""
    return compose(train_stages(records, config, share, device), first_epoch)


def eval_dataset(
    records: RecordSet,
    config: ReadConfig,
    split: str = "validation",
    share: Share | None = None,
) -> tf.data.Dataset:
    """Every example of a split once, in order, the last batch padded.

    Yields uint8 [batch, side, side, 3], int64 [batch] labels and float32 [batch]
    weights, which are 0 for padding: weighted metrics are exact on any number of
    replicas.
    """
    share = share or Share(config.batch_size)
    num_examples = records.manifest.split(split).num_examples
    num_batches = -(-num_examples // config.batch_size)
    padded = num_batches * config.batch_size
    stored = read_in_order(records.paths(split))
    padding = stored.take(1).repeat(padded - num_examples)
    weights = tf.data.Dataset.range(padded).map(
        lambda row: tf.cast(row < num_examples, tf.float32)
    )
    dataset = tf.data.Dataset.zip((stored.concatenate(padding), weights))
    dataset = share.of(dataset)
    storage, side, fit = _storage(records)

    def example(record: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, ...]:
        pixels, label = parse(record, storage)
        return decode(pixels, storage, side, fit), label, weight

    dataset = dataset.map(example, tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(share.per_replica, drop_remainder=True)
    batches = padded // share.num_pipelines // share.per_replica
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    return _prefetch(dataset, config)


def _storage(records: RecordSet) -> tuple:
    config = records.manifest.config
    return config.storage, config.side, config.fit


def _decoding_stages(records: RecordSet, rows: int) -> list[Stage]:
    storage, side, fit = _storage(records)

    def parsed(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.map(
            lambda record: parse(record, storage), tf.data.AUTOTUNE, deterministic=True
        )

    def decoded(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset.map(
            lambda pixels, label: (decode(pixels, storage, side, fit), label),
            tf.data.AUTOTUNE,
            deterministic=True,
        )

    return [
        Stage("parse", parsed),
        Stage("decode", decoded),
        Stage("batch", lambda dataset: dataset.batch(rows, drop_remainder=True)),
    ]


def _to_device(device: str) -> Stage:
    copy = tf.data.experimental.prefetch_to_device(device, BATCHES_AHEAD)
    return Stage("to device", lambda dataset: dataset.apply(copy))


def _prefetch(dataset: tf.data.Dataset, config: ReadConfig) -> tf.data.Dataset:
    """Batches ahead of their use, and the limits of the whole host pipeline."""
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.ram_budget = config.ram_budget_bytes
    # Parallelism is across images: threads inside one image's ops only get in its way.
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = len(os.sched_getaffinity(0))
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)
