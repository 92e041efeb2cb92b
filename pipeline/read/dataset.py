"""The host's part of the path as a list of named stages: shards -> uint8 batches.

Training composes all of them, the bench times prefixes of the same list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import count
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.choose import choose_reader
from alexnet.pipeline.read.mapped import Rows, open_rows
from alexnet.pipeline.read.order import PipelineShard, epoch_order
from alexnet.pipeline.read.parse import decode, parse
from alexnet.pipeline.read.stream import (
    read_in_order,
    read_shuffled_shards,
    shuffle,
    shuffle_size,
)
from alexnet.pipeline.records.record_set import RecordSet

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


def compose(
    stages: Sequence[Stage], first_epoch: int = 0, skip: int = 0
) -> tf.data.Dataset:
    """The dataset the stages make, epoch after epoch without end.

    `stages` may be any prefix of `train_stages`. Of the first epoch, `skip` elements
    are left out before anything is decoded.
    """

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        dataset = tf.data.Dataset.from_tensors(epoch)
        for stage in stages:
            if stage.of_epoch:
                dataset = stage.apply(dataset, epoch)
        return dataset.skip(skip * tf.cast(epoch == first_epoch, tf.int64))

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
            f" {count(num_examples, 'example')}. Choose `batch_size={num_examples}` or"
            " less."
        )
    return num_examples // batch_size


def train_stages(
    records: RecordSet,
    config: ReadConfig,
    share: PipelineShard | None = None,
    device: str | None = None,
) -> list[Stage]:
    """The stages from the train split to shuffled batches of one replica.

    The dataset they make yields uint8 [batch, side, side, 3] in [0, 255] and
    int64 [batch] labels.

    Args:
        share: this pipeline's part of the global batch; by default all of it.
        device: where to copy batches ahead of time, such as "/GPU:0".
    """
    share = share or PipelineShard(config.batch_size)
    steps_per_epoch(records, config.batch_size)
    by_row = choose_reader(records, config.reader).random_access
    make = _stages_by_row if by_row else _streamed_stages
    return [
        *make(records, config, share),
        Stage("prefetch", lambda dataset: _prefetch(dataset, config)),
        *([_to_device(device)] if device else []),
    ]


def _stages_by_row(
    records: RecordSet, config: ReadConfig, share: PipelineShard
) -> list[Stage]:
    """Batches of row numbers, then the batches themselves."""
    rows = open_rows(records, "train")
    count = records.manifest.split("train").num_examples

    def shuffled(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        order = epoch_order(count, config.seed, epoch)
        return tf.data.Dataset.from_tensor_slices(share.rows_of(order))

    return [
        Stage("shuffle", shuffled, of_epoch=True),
        Stage(rows.stage, lambda numbers: _fetch(numbers, rows, records, config)),
    ]


def _fetch(
    numbers: tf.data.Dataset, rows: Rows, records: RecordSet, config: ReadConfig
) -> tf.data.Dataset:
    """The batches of datasets of row numbers, several made at a time.

    What they are fetched from goes with them as elements, which the dataset holds
    itself: a tensor that a function captures lives until Python collects its garbage.
    """
    lent = tf.data.Dataset.from_tensors(rows.lend()).repeat()
    numbers = tf.data.Dataset.zip((numbers, lent))

    def fetch(row: tf.Tensor, lent: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return rows.fetch(row, *lent)

    if rows.uses_all_cpus:
        return numbers.map(fetch, BATCHES_AHEAD, deterministic=True)
    batch_bytes = config.batch_size * records.storage.pixel_bytes(
        records.manifest.config.side
    )
    affordable = config.ram_budget_bytes // batch_bytes - BATCHES_AHEAD
    at_once = max(1, min(num_cpus(), affordable))
    return numbers.map(fetch, at_once, deterministic=True)


def _streamed_stages(
    records: RecordSet, config: ReadConfig, share: PipelineShard
) -> list[Stage]:
    """Records one by one until they are shuffled, from then on in batches."""
    used = steps_per_epoch(records, config.batch_size) * config.batch_size
    paths = records.paths("train")
    size = shuffle_size(records.manifest.split("train"), config.ram_budget_bytes)

    def read(_: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return read_shuffled_shards(paths, config.seed, epoch)

    def shuffled(dataset: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return shuffle(dataset, size, config.seed, epoch).take(used)

    def batched(dataset: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        return share.of(dataset)

    return [
        Stage("read", read, of_epoch=True),
        Stage("shuffle", shuffled, of_epoch=True),
        Stage("batch", batched, of_epoch=True),
        Stage("parse", lambda dataset: _parsed(dataset, records)),
        Stage("decode", lambda dataset: _decoded(dataset, records)),
    ]


def _parsed(dataset: tf.data.Dataset, records: RecordSet) -> tf.data.Dataset:
    return dataset.map(
        lambda batch: parse(batch, records.storage),
        tf.data.AUTOTUNE,
        deterministic=True,
    )


def _decoded(dataset: tf.data.Dataset, records: RecordSet) -> tf.data.Dataset:
    return dataset.map(
        lambda stored, labels: (decode(stored, records.manifest.config), labels),
        BATCHES_AHEAD,
        deterministic=True,
    )


def train_dataset(
    records: RecordSet,
    config: ReadConfig,
    share: PipelineShard | None = None,
    device: str | None = None,
    first_epoch: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """All of `train_stages` as one endless dataset, from a step of an epoch on."""
    share = share or PipelineShard(config.batch_size)
    stages = train_stages(records, config, share, device)
    return compose(stages, first_epoch, first_step * share.replicas_here)


def eval_dataset(
    records: RecordSet,
    config: ReadConfig,
    split: str = "validation",
    share: PipelineShard | None = None,
) -> tf.data.Dataset:
    """Every example of a split once, in order, the last batch padded.

    Yields uint8 [batch, side, side, 3], int64 [batch] labels and float32 [batch]
    weights, which are 0 for padding: weighted metrics are exact on any number of
    replicas.
    """
    share = share or PipelineShard(config.batch_size)
    num_examples = records.manifest.split(split).num_examples
    padded = -(-num_examples // config.batch_size) * config.batch_size
    by_row = choose_reader(records, config.reader).random_access
    make = _rows_in_order if by_row else _streamed_in_order
    dataset = make(records, config, split, padded, share)
    batches = padded // config.batch_size * share.replicas_here
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    return _prefetch(dataset, config)


def _rows_in_order(
    records: RecordSet,
    config: ReadConfig,
    split: str,
    padded: int,
    share: PipelineShard,
) -> tf.data.Dataset:
    rows = open_rows(records, split)
    num_examples = records.manifest.split(split).num_examples
    places = share.rows_of(tf.range(padded))
    stored = tf.where(places < num_examples, places, 0)
    numbers = tf.data.Dataset.from_tensor_slices((stored, places))
    batches = _fetch(numbers.map(lambda row, _: row), rows, records, config)
    return _with_weights(batches, numbers.map(lambda _, place: place), num_examples)


def _streamed_in_order(
    records: RecordSet,
    config: ReadConfig,
    split: str,
    padded: int,
    share: PipelineShard,
) -> tf.data.Dataset:
    num_examples = records.manifest.split(split).num_examples
    stored = read_in_order(records.paths(split))
    stored = stored.concatenate(stored.take(1).repeat(padded - num_examples))
    batches = _decoded(_parsed(share.of(stored), records), records)
    places = share.of(tf.data.Dataset.range(padded))
    return _with_weights(batches, places, num_examples)


def _with_weights(
    batches: tf.data.Dataset, places: tf.data.Dataset, num_examples: int
) -> tf.data.Dataset:
    """(images, labels, weights): those at places behind the last example weigh 0."""
    weights = places.map(lambda place: tf.cast(place < num_examples, tf.float32))
    return tf.data.Dataset.zip((batches, weights)).map(
        lambda batch, weight: (*batch, weight)
    )


def _to_device(device: str) -> Stage:
    copy = tf.data.experimental.prefetch_to_device(device, BATCHES_AHEAD)
    return Stage("to device", lambda dataset: dataset.apply(copy))


def _prefetch(dataset: tf.data.Dataset, config: ReadConfig) -> tf.data.Dataset:
    """Batches ahead of their use, and the limits of the whole host pipeline."""
    options = tf.data.Options()
    options.deterministic = True
    # They gain nothing here, and turn captured tensors into constants: into copies.
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.ram_budget = config.ram_budget_bytes
    # Parallelism is across images: threads inside one image's ops only get in its way.
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = num_cpus()
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)
