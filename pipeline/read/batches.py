"""Batches of an opened set, as Keras's `fit` and one's own loops take them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from alexnet.pipeline.augment.augment import preprocess_batch
from alexnet.pipeline.config import AugmentConfig, ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.by_row import BATCHES_AHEAD
from alexnet.pipeline.read.by_service import batch_reader
from alexnet.pipeline.read.dataset import eval_dataset, full_batches, train_dataset
from alexnet.pipeline.read.example_set import ExampleSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.read.selection import Selection
from alexnet.pipeline.setting import require

# The central window in levels of 0 to 255.
CENTRE = AugmentConfig(geometry="centre", std=(1.0, 1.0, 1.0))


class Batches(ABC):
    """Batches that are made anew for whoever asks; nothing is held in between."""

    class_names: tuple[str, ...]

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Examples of a global batch."""

    @property
    def dataset(self) -> tf.data.Dataset:
        """The batches, as a new dataset with every access."""
        return self.make(PipelineShard(self.batch_size))

    def distribute(self, strategy: tf.distribute.Strategy) -> Any:
        """The batches shared among a strategy's replicas and workers, dataset-like.

        `batch_size` is the global one, and a multiple of the number of replicas. Of
        rows that are mapped any number of workers sees the same global batches; where
        records are streamed each worker reads a part of its own. Either way every
        example comes once an epoch.

        Raises:
            ConfigError: the batch cannot be shared evenly.
        """

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return self.make(
                PipelineShard(
                    self.batch_size,
                    strategy.num_replicas_in_sync,
                    context.num_input_pipelines,
                    context.input_pipeline_id,
                )
            )

        return strategy.distribute_datasets_from_function(of_worker)

    @abstractmethod
    def make(self, shard: PipelineShard) -> tf.data.Dataset:
        """The part of the batches that one input pipeline delivers."""


@dataclass(frozen=True)
class TrainBatches(Batches):
    """Shuffled batches of a training split, epoch after epoch without end.

    An element is (images, labels), then weights where they were given, then keys where
    they were asked for:

    - images: uint8 [batch, S, S, 3] in [0, 255], the squares as they are stored; of
      `yuv420` their planes, uint8 [batch, 3 S / 2, S];
    - labels: int64 [batch], numbers of `class_names`; float32 [batch] or [batch, n]
      where `labels` were given;
    - weights: float32 [batch];
    - keys: string [batch].
    """

    records: ExampleSet
    config: ReadConfig
    selection: Selection
    class_names: tuple[str, ...]
    start_step: int = 0
    data_service: str | None = None

    @property
    def batch_size(self) -> int:
        """Examples of a global batch."""
        return self.config.batch_size

    @property
    def num_examples(self) -> int:
        """Examples that are drawn from."""
        return self.selection.num_examples

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch; the examples left over differ between epochs."""
        return self.num_examples // self.batch_size

    def require_batches(self) -> None:
        """Check what can be checked before a batch is made.

        Raises:
            ConfigError: an epoch has no full batch, `start_step` is below 0, or the set
                cannot be read by the reader that was asked for.
            ReadError: no data service answers.
        """
        require(self.start_step >= 0, "start_step", self.start_step, "0 or more")
        full_batches(
            self.num_examples,
            self.batch_size,
            f"what is read of the train split in {self.records.place}",
        )
        batch_reader(self.records, self.config.reader, self.data_service)

    def make(self, shard: PipelineShard) -> tf.data.Dataset:
        """The part of the batches that one input pipeline delivers."""
        self.records.require_open()
        epoch, step = divmod(self.start_step, self.steps_per_epoch)
        dataset = train_dataset(
            *(self.records, self.config, shard, None, epoch, step, self.selection),
            data_service=self.data_service,
        )
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.apply(endless)


@dataclass(frozen=True)
class EvalBatches(Batches):
    """Every example of a split once, in the order of the records.

    An element is that of `TrainBatches`. The last batch is smaller where the examples
    do not fill it, so that a plain mean over examples is right. With `pad` it is filled
    up, and every element has weights, 0 for what fills: any number of replicas is given
    whole batches, and weighted metrics are right. With `size` the images are uint8
    [batch, size, size, 3], of every storage: the central window of the square, scaled
    down first where that is much larger, which is what the augmentations that crop show
    in evaluation.
    """

    records: ExampleSet
    config: ReadConfig
    selection: Selection
    class_names: tuple[str, ...]
    split: str
    size: int | None = None
    pad: bool = False
    data_service: str | None = None

    @property
    def batch_size(self) -> int:
        """Examples of a batch, but perhaps of the last one."""
        return self.config.batch_size

    @property
    def num_examples(self) -> int:
        """Examples of the split, or those that were chosen."""
        return self.selection.num_examples

    @property
    def steps(self) -> int:
        """Batches, the last one included."""
        return -(-self.num_examples // self.batch_size)

    def distribute(self, strategy: tf.distribute.Strategy) -> Any:
        """As for training; only of padded batches.

        Raises:
            ConfigError: they are not padded, or cannot be shared evenly.
        """
        if not self.pad:
            raise ConfigError(
                "`pad=False` leaves the last batch smaller, and replicas need equal"
                " parts: distribute batches made with `pad=True`, and weigh by the"
                " weights that come with them"
            )
        return super().distribute(strategy)

    def make(self, shard: PipelineShard) -> tf.data.Dataset:
        """The part of the batches that one input pipeline delivers."""
        self.records.require_open()
        dataset = eval_dataset(
            *(self.records, self.config, self.split, shard, self.selection, self.pad),
            data_service=self.data_service,
        )
        if self.size is None:
            return dataset
        cut = partial(_cut, size=self.size)
        return dataset.map(cut, BATCHES_AHEAD, deterministic=True).prefetch(1)


def _cut(images: tf.Tensor, *others: tf.Tensor, size: int) -> tuple[tf.Tensor, ...]:
    levels = preprocess_batch(images, CENTRE, size)
    return (tf.saturate_cast(tf.round(levels), tf.uint8), *others)
