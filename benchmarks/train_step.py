"""`bench train-step`: the network alone, on made-up images that the device holds.

It stands at the end of an image's path, with nothing before it: laid beside `bench
input-pipeline`, it says how many images a second there is a use for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.benchmarks.input_pipeline.device_stages import DeviceStage, repeat
from alexnet.benchmarks.machine import gpu_names, read_processor
from alexnet.benchmarks.measure import Deliveries, Progress, Stopwatch, Timing
from alexnet.model.config import NETWORK, TRAIN, NetworkConfig, TrainConfig, Variant
from alexnet.model.network.summary import training_flops
from alexnet.model.training.execution import step_function
from alexnet.model.training.hardware import Hardware, set_up_hardware
from alexnet.model.training.make_classifier import build_replicated, make_classifier
from alexnet.model.training.train_step import DRAWS, TrainableClassifier
from alexnet.pipeline.augment.augment import augment_batch, fold_seed, mixup_cutmix
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import BUILD, Preset
from alexnet.pipeline.files import count
from alexnet.pipeline.setting import Config, require

# Large enough that a device computes as fast as it can, small enough for many a second.
MATMUL_SIDES = {"CPU": 2048, "GPU": 8192}
# Of an epoch that never ends, so that the rate stays near 0: where a loss overflows,
# loss scaling skips the rest of the step.
STEPS_PER_EPOCH = 10**6


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainStepConfig(Config):
    """The step to measure, and for how long; the names are those of `fit`."""

    # For each of the timings, after a warm-up of half of it.
    seconds: float = 5.0
    variant: Variant = NETWORK.variant
    batch_size: int = TRAIN.batch_size
    image_size: int = NETWORK.image_size
    num_classes: int = NETWORK.num_classes
    width: float = NETWORK.width
    network: str | None = NETWORK.network
    augment: Preset = TRAIN.augment
    mixed_precision: bool = TRAIN.mixed_precision
    xla: bool | None = TRAIN.xla

    def check(self) -> None:
        """Check that there is something to measure."""
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")

    @property
    def stored_side(self) -> int:
        """The side of records as ever, or of what the network takes if that is more."""
        return max(BUILD.side, self.image_size)

    def network_config(self) -> NetworkConfig:
        """The network's part of the settings.

        Raises:
            ConfigError: one is out of range.
        """
        return NetworkConfig(
            variant=self.variant,
            num_classes=self.num_classes,
            image_size=self.image_size,
            width=self.width,
            network=self.network,
        )

    def train(self) -> TrainConfig:
        """The training's part of the settings, on one device.

        Raises:
            ConfigError: one is out of range.
        """
        return TrainConfig(
            batch_size=self.batch_size,
            augment=self.augment,
            mixed_precision=self.mixed_precision,
            xla=self.xla,
            strategy="none",
        )


@dataclass(frozen=True)
class TrainStepPlan:
    """The timings: the step, its augmentation alone, and a bare matrix product.

    The first two deliver images, the product floating-point operations.
    """

    hardware: Hardware
    step_flops: int
    step: Timing
    augment: Timing
    matmul: Timing


@dataclass(frozen=True)
class TrainStepReport:
    """The speed of the step, and what the device makes of it."""

    variant: str
    batch_size: int
    image_size: int
    width: float
    augment: str
    precision: str
    xla: bool
    device: str
    images_per_second: float
    spread: float
    # Forward and backward, of convolutions and dense layers: see `training_flops`.
    step_flops: int
    # Of large square matrices in the step's precision, measured in the same run.
    matmul_flops_per_second: float
    # What the augmentation takes alone, as a share of the step's time.
    augment_share: float

    @property
    def step_seconds(self) -> float:
        """The time of a step, which takes a whole batch."""
        return self.batch_size / self.images_per_second

    @property
    def flops_per_second(self) -> float:
        """Floating-point operations in a second of training."""
        return self.step_flops / self.step_seconds

    @property
    def share_of_matmul(self) -> float:
        """Share of what the device can compute."""
        return self.flops_per_second / self.matmul_flops_per_second

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, with what follows from them."""
        return {
            **asdict(self),
            "step_seconds": self.step_seconds,
            "flops_per_second": self.flops_per_second,
            "share_of_matmul": self.share_of_matmul,
        }


def run_train_step(
    config: TrainStepConfig,
    progress: Progress = lambda name, done, total: None,
) -> TrainStepReport:
    """Time the training step of `config` on one device.

    Raises:
        ConfigError: a setting is out of range.
    """
    return execute(plan_train_step(config), config, progress)


def plan_train_step(config: TrainStepConfig) -> TrainStepPlan:
    """Plan the timings, with weights and images in the memory of the device.

    Raises:
        ConfigError: a setting is out of range.
    """
    network, train = config.network_config(), config.train()
    hardware = set_up_hardware(train)
    classifier = make_classifier(
        build_replicated(network, hardware),
        preset(config.augment),
        train,
        hardware,
        STEPS_PER_EPOCH,
    )
    step = step_function(classifier, hardware.strategy)
    augment = _augment(classifier)
    batch = _noise(config)
    side = MATMUL_SIDES["GPU" if hardware.num_gpus else "CPU"]
    return TrainStepPlan(
        hardware=hardware,
        step_flops=config.batch_size * training_flops(classifier.network),
        step=Timing("train step", partial(repeat, step, batch)),
        augment=Timing("augment", partial(repeat, augment, batch)),
        matmul=Timing("matmul limit", partial(_multiply, side)),
    )


def execute(
    plan: TrainStepPlan, config: TrainStepConfig, progress: Progress
) -> TrainStepReport:
    """Measure one timing after the other."""
    timings = (plan.step, plan.augment, plan.matmul)
    stopwatch = Stopwatch(config.seconds, len(timings), progress)
    step, augment, matmul = map(stopwatch.time, timings)
    stopwatch.announce("done")
    return TrainStepReport(
        variant=config.network_config().name,
        batch_size=config.batch_size,
        image_size=config.image_size,
        width=config.width,
        augment=config.augment,
        precision=plan.hardware.policy,
        xla=plan.hardware.xla,
        device=_device_name(),
        images_per_second=step.images_per_second,
        spread=step.spread,
        step_flops=plan.step_flops,
        matmul_flops_per_second=matmul.images_per_second,
        augment_share=step.images_per_second / augment.images_per_second,
    )


def _noise(config: TrainStepConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """uint8 [batch, side, side, 3] of all levels, and int64 [batch] labels."""
    rows, side = config.batch_size, config.stored_side
    levels = tf.random.stateless_uniform(
        [rows, side, side, 3], fold_seed(0), 0, 256, tf.int32
    )
    labels = tf.range(rows, dtype=tf.int64) % config.num_classes
    return tf.cast(levels, tf.uint8), labels


def _augment(classifier: TrainableClassifier) -> DeviceStage:
    """The part of `TrainableClassifier.train_step` before the network."""
    rows = classifier.global_batch
    with tf.device(HOST):
        step = tf.Variable(0, trainable=False, dtype=tf.int64)

    @tf.function
    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draws = fold_seed(classifier.seed, DRAWS, step.assign_add(1))
        view = augment_batch(
            images, classifier.augment, classifier.side, draws, 0, rows
        )
        one_hot = tf.one_hot(labels, classifier.num_classes)
        return mixup_cutmix(view, one_hot, classifier.augment, draws, 0, rows)

    device_stage: DeviceStage = augment
    return device_stage


def _multiply(side: int) -> Deliveries:
    """The floating-point operations of one product of square matrices after another."""
    dtype = keras.mixed_precision.global_policy().compute_dtype
    matrix = tf.cast(tf.random.stateless_normal([side, side], fold_seed(0)), dtype)
    while True:
        tf.linalg.matmul(matrix, matrix)
        yield 2 * side**3


def _device_name() -> str:
    """The first GPU's, or the processor's and how many of its CPUs can be used."""
    for name in gpu_names():
        return name
    processor = read_processor()
    return f"{processor.model or 'CPU'}, {count(processor.usable_cpus, 'CPU')}"
