"""What takes batches on the device: the last rungs of the ladder, and their limits.

A consumer is timed behind the pipeline, and alone on one batch that it takes again and
again: that is how many images there is a use for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from alexnet.benchmarks.input_pipeline.shares import alone
from alexnet.benchmarks.measure import Deliveries, Timing, deliver
from alexnet.pipeline.augment.augment import augment_batch, fold_seed
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.read.stage import Stage, compose
from alexnet.pipeline.records.storage import STORAGES

# Given a uint8 batch and int64 [batch] labels, as the pipeline yields them.
Consumer = Callable[[tf.Tensor, tf.Tensor], Any]


def plan_consumers(
    stages: Sequence[Stage], consumers: Mapping[str, Consumer]
) -> list[Timing]:
    """How to time each consumer behind the pipeline."""
    return [
        Timing(name, partial(_deliver_to, stages, consume))
        for name, consume in consumers.items()
    ]


def plan_alone(stages: Sequence[Stage], name: str, consume: Consumer) -> Timing:
    """How to time a consumer on one batch of the pipeline's."""
    return Timing(alone(name), partial(_repeat, stages, consume))


def _deliver_to(stages: Sequence[Stage], consume: Consumer) -> Deliveries:
    return deliver(compose(stages), consume)


def _repeat(stages: Sequence[Stage], consume: Consumer) -> Deliveries:
    images, labels = next(iter(compose(stages)))
    while True:
        consume(images, labels)
        yield len(labels)


def make_augment(
    stored: BuildConfig, batch_size: int, name: str, image_size: int, seed: int
) -> Consumer:
    """The augmentation of a batch, traced here so that a wrong setting shows early.

    Raises:
        ConfigError: there is no such preset, or it does not fit the stored images.
    """
    settings = preset(name)
    with tf.device(HOST):
        step = tf.Variable(0, dtype=tf.int64)

    @tf.function(
        input_signature=[
            tf.TensorSpec(
                [batch_size, *STORAGES[stored.storage].image_shape(stored.side)],
                tf.uint8,
            ),
            tf.TensorSpec([batch_size], tf.int64),
        ]
    )
    def augment(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        draws = fold_seed(seed, step.assign_add(1))
        return augment_batch(images, settings, image_size, draws, 0, batch_size)

    augment.get_concrete_function()
    return augment  # type: ignore[no-any-return]
