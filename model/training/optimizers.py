"""The optimizers by name.

An update is one of TensorFlow's own kernels: a single pass over a weight and what the
optimizer remembers of it. On a CPU that pass is the part of a step that half precision
does not shorten.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from alexnet.model.config import OptimizerName, TrainConfig
from alexnet.model.training.learning_rate import make_learning_rate
from alexnet.model.training.optimizer import Optimizer, assign, is_kernel
from alexnet.pipeline.augment.device import HOST

# Krizhevsky 2012, section 5.
MOMENTUM = 0.9
# Kingma 2015, section 2, with Keras's epsilon.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
# You 2017, section 5: a step changes a layer by this share of its norm, at a rate of 1.
LARS_TRUST = 0.001
# You 2020, as published with it.
LAMB_EPSILON = 1e-6


class Sgd(Optimizer):
    """w = w - rate g."""

    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        step: tf.Tensor | int,
    ) -> None:
        tf.raw_ops.ResourceApplyGradientDescent(
            var=weight.handle, alpha=rate, delta=gradient
        )


class Momentum(Optimizer):
    """v = momentum v - rate g; w = w + v."""

    num_slots = 1

    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        step: tf.Tensor | int,
    ) -> None:
        (velocity,) = slots
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=weight.handle,
            accum=velocity.handle,
            lr=rate,
            grad=gradient,
            momentum=MOMENTUM,
        )


class Adam(Optimizer):
    """Kingma 2015, algorithm 1; with weight decay, which is decoupled, it is AdamW."""

    num_slots = 2

    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        step: tf.Tensor | int,
    ) -> None:
        mean, variance = slots
        powers = _powers(step)
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle,
            m=mean.handle,
            v=variance.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=BETA_1,
            beta2=BETA_2,
            epsilon=EPSILON,
            grad=gradient,
        )


class Lars(Momentum):
    """Momentum at a rate of each layer's own (You 2017, algorithm 1).

    The gradient includes the weight decay; the rate is a share of the kernel's norm
    over the gradient's.
    """

    decays_apart = False

    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        step: tf.Tensor | int,
    ) -> None:
        if is_kernel(weight):
            norm = tf.norm(gradient) + self.weight_decay * tf.norm(weight)
            rate *= _trust(LARS_TRUST * tf.norm(weight), norm)
            gradient += self.weight_decay * weight
        super()._update(weight, slots, gradient, rate, step)


class Lamb(Optimizer):
    """Adam at a rate of each layer's own (You 2020, algorithm 2).

    The update includes the weight decay, and is made as long as its kernel, times the
    rate.
    """

    num_slots = 2
    decays_apart = False

    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        step: tf.Tensor | int,
    ) -> None:
        powers = _powers(step)
        mean = BETA_1 * slots[0] + (1 - BETA_1) * gradient
        variance = BETA_2 * slots[1] + (1 - BETA_2) * gradient**2
        deviation = tf.sqrt(variance / (1 - powers[1])) + LAMB_EPSILON
        update = mean / (1 - powers[0]) / deviation
        if is_kernel(weight):
            update += self.weight_decay * weight
            rate *= _trust(tf.norm(weight), tf.norm(update))
        values = (mean, variance, weight - rate * update)
        for variable, value in zip((*slots, weight), values, strict=True):
            assign(variable, value)


def _powers(step: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the powers of Adam's betas after a step, which correct its bias."""
    with tf.device(HOST):
        taken = tf.cast(step + 1, tf.float32)
        return BETA_1**taken, BETA_2**taken


def _trust(wanted: tf.Tensor, norm: tf.Tensor) -> tf.Tensor:
    """The factor that gives an update its wanted norm; 1 where either norm is 0."""
    return tf.where((wanted > 0) & (norm > 0), tf.math.divide_no_nan(wanted, norm), 1.0)


OPTIMIZERS: dict[OptimizerName, type[Optimizer]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": Adam,
    "lars": Lars,
    "lamb": Lamb,
}


def make_optimizer(
    config: TrainConfig,
    steps_per_epoch: int,
    weights: Sequence[tf.Variable],
    scales: Sequence[float] = (),
) -> Optimizer:
    """The optimizer of `config` for some weights, in the current strategy's scope."""
    rate = make_learning_rate(config, steps_per_epoch)
    kind = OPTIMIZERS[config.optimizer]
    return kind(weights, rate, config.weight_decay, scales, config.clip_norm)
