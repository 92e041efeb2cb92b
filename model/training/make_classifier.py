"""A network with fresh weights, and what it is trained by, made as settings say."""

from __future__ import annotations

from collections.abc import Sequence

from tensorflow import keras

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.named_weights import freeze_layers
from alexnet.model.network.own import NetworkFunction
from alexnet.model.training.hardware import Hardware
from alexnet.model.training.initial import rate_scales
from alexnet.model.training.loss import TrainingLoss, balanced_weights
from alexnet.model.training.loss_scale import LossScale
from alexnet.model.training.moving_average import AveragedClassifier
from alexnet.model.training.optimizer import trainable_weights
from alexnet.model.training.optimizers import make_optimizer
from alexnet.model.training.run_config import InitialWeights
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.config import AugmentConfig


def build_replicated(
    config: NetworkConfig, hardware: Hardware, function: NetworkFunction | None = None
) -> keras.Model:
    """A network with fresh weights on every replica."""
    # Replicas cannot meet inside a compiled function: there each normalises alone.
    together = hardware.num_replicas > 1 and not hardware.xla
    with hardware.strategy.scope():
        return build_network(config, together, function)


def make_classifier(
    network: keras.Model,
    augment: AugmentConfig,
    config: TrainConfig,
    hardware: Hardware,
    steps: int,
    initial: InitialWeights | None = None,
    averaged: keras.Model | None = None,
    class_counts: Sequence[int] = (),
    sides: Sequence[int] = (),
) -> TrainableClassifier:
    """A classifier to be trained, in the current strategy's scope.

    `steps` are those of an epoch; `initial` is where the network's weights are from.
    `averaged`, another such network, gets the average that `ema` asks for. The examples
    of each class, `class_counts`, are for `class_weights`; `sides` are those of the
    images that it trains on.

    Raises:
        ConfigError: `freeze` names what the network has not, or the batch cannot be
            shared out evenly.
    """
    freeze_layers(network, config.freeze)
    scales = rate_scales(network, initial, config.kept_rate)
    average = None
    if averaged and config.ema:
        averaged.set_weights(network.get_weights())
        average = AveragedClassifier(averaged, augment, config.ema, xla=hardware.xla)
    return TrainableClassifier(
        network,
        augment,
        make_optimizer(config, steps, trainable_weights(network), scales),
        loss_scale=LossScale() if hardware.policy == "mixed_float16" else None,
        average=average,
        loss=_make_loss(config, class_counts),
        global_batch=config.batch_size,
        accumulate=config.accumulate,
        other_sides=[side for side in sides if side != network.input_shape[1]],
        seed=config.seed,
        xla=hardware.xla,
    )


def _make_loss(config: TrainConfig, class_counts: Sequence[int]) -> TrainingLoss:
    is_balanced = config.class_weights == "balanced"
    weights = balanced_weights(class_counts) if is_balanced else None
    return TrainingLoss(config.loss, config.label_smoothing, weights)
