"""Stages on the device: the last rungs of the ladder, and their limits.

A stage is timed behind the pipeline, and alone on one batch that it takes again and
again: that is how many images there is a use for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from alexnet.benchmarks.input_pipeline.ladder import alone
from alexnet.benchmarks.measure import Deliveries, Timing, deliver
from alexnet.pipeline.augment.augment import augment_batch, fold_seed
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.read.stage import Stage, compose

# Called with a uint8 batch and int64 [batch] labels, as the pipeline yields them.
DeviceStage = Callable[[tf.Tensor, tf.Tensor], Any]


def plan_device_stages(
    stages: Sequence[Stage], device_stages: Mapping[str, DeviceStage]
) -> list[Timing]:
    """A timing for each device stage behind the pipeline."""
    return [
        Timing(name, partial(_deliver_to, stages, device_stage))
        for name, device_stage in device_stages.items()
    ]


def plan_alone(stages: Sequence[Stage], name: str, device_stage: DeviceStage) -> Timing:
    """A timing for a device stage on one batch of the pipeline's."""
    return Timing(alone(name), lambda: repeat(device_stage, first_batch(stages)))


def _deliver_to(stages: Sequence[Stage], device_stage: DeviceStage) -> Deliveries:
    return deliver(compose(stages), device_stage)


def first_batch(stages: Sequence[Stage]) -> tuple[tf.Tensor, tf.Tensor]:
    """The images and labels that the pipeline yields first."""
    images, labels = next(iter(compose(stages)))
    return images, labels


def repeat(device_stage: DeviceStage, batch: tuple[tf.Tensor, tf.Tensor]) -> Deliveries:
    """The images of one batch, taken again and again."""
    while True:
        device_stage(*batch)
        yield len(batch[1])


def make_augment(
    shape: Sequence[int], name: str, image_size: int, seed: int
) -> DeviceStage:
    """The augmentation of a batch, traced here so that a wrong setting shows early.

    Args:
        shape: that of a batch of images, as the pipeline yields it.

    Raises:
        ConfigError: there is no such preset, or it does not fit the stored images.
    """
    settings = preset(name)
    with tf.device(HOST):
        step = tf.Variable(0, dtype=tf.int64)

    @tf.function(
        input_signature=[
            tf.TensorSpec(shape, tf.uint8),
            tf.TensorSpec(shape[:1], tf.int64),
        ]
    )
    def augment(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        draws = fold_seed(seed, step.assign_add(1))
        return augment_batch(images, settings, image_size, draws, 0, shape[0])

    augment.get_concrete_function()
    return augment  # type: ignore[no-any-return]
