"""Optimizers: each replica updates its own copy of the weights, where they lie.

An update is one of TensorFlow's own kernels: a single pass over a weight and what the
optimizer remembers of it. On a CPU that pass is the part of a step that half precision
does not shorten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import OptimizerName, TrainConfig
from alexnet.model.training.learning_rate import LearningRate, make_learning_rate
from alexnet.model.training.replicas import replicated_variable

# Krizhevsky 2012, section 5.
MOMENTUM = 0.9
# Kingma 2015, section 2, with Keras's epsilon.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def trainable_weights(network: keras.Model) -> list[tf.Variable]:
    """TensorFlow's variables that a network learns; Keras 3 wraps them."""
    return [unwrapped(weight) for weight in network.trainable_variables]


def unwrapped(weight: tf.Variable) -> tf.Variable:
    """TensorFlow's variable of a Keras weight."""
    return weight if isinstance(weight, tf.Variable) else weight.value


class Optimizer(tf.Module, ABC):
    """The rule that updates weights by a step's gradients.

    Make it in the strategy's scope; call it in a replica's context.
    """

    num_slots: ClassVar[int] = 0

    def __init__(
        self,
        weights: Sequence[tf.Variable],
        learning_rate: LearningRate,
        weight_decay: float = 0.0,
        scales: Sequence[float] = (),
    ) -> None:
        """`scales` are the weights' multiples of the learning rate, by default 1."""
        super().__init__()
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.iterations = replicated_variable(0, tf.int64)
        self.slots = [
            [tf.Variable(tf.zeros(weight.shape), trainable=False) for _ in self._slots]
            for weight in weights
        ]
        self._weights = tuple(weights)
        self._scales = tuple(scales) or (1.0,) * len(self._weights)

    @property
    def _slots(self) -> range:
        return range(self.num_slots)

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Take a step; the gradients are the sums of all replicas'."""
        full_rate = self.learning_rate(self.iterations)
        for weight, slots, gradient, scale in zip(
            self._weights, self.slots, gradients, self._scales, strict=True
        ):
            rate = full_rate * scale
            # Shrinking biases, offsets and scales, which are vectors, has no use.
            if self.weight_decay and weight.shape.rank > 1:
                shrunk = weight * (1 - rate * self.weight_decay)
                tf.raw_ops.AssignVariableOp(resource=weight.handle, value=shrunk)
            self._update(weight, slots, gradient, rate)
        self.skip()

    def skip(self) -> None:
        """Count a step without taking it."""
        # An assignment of the variable would make replicas wait for each other.
        one = tf.constant(1, tf.int64)
        tf.raw_ops.AssignAddVariableOp(resource=self.iterations.handle, value=one)

    @abstractmethod
    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        """Update one weight and its slots."""


class Sgd(Optimizer):
    """w = w - rate g."""

    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
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
    ) -> None:
        mean, variance = slots
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle,
            m=mean.handle,
            v=variance.handle,
            beta1_power=BETA_1**step,
            beta2_power=BETA_2**step,
            lr=rate,
            beta1=BETA_1,
            beta2=BETA_2,
            epsilon=EPSILON,
            grad=gradient,
        )


OPTIMIZERS: dict[OptimizerName, type[Optimizer]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": Adam,
}


def make_optimizer(
    config: TrainConfig,
    steps_per_epoch: int,
    weights: Sequence[tf.Variable],
    scales: Sequence[float] = (),
) -> Optimizer:
    """The optimizer of `config` for some weights, in the current strategy's scope."""
    rate = make_learning_rate(config, steps_per_epoch)
    return OPTIMIZERS[config.optimizer](weights, rate, config.weight_decay, scales)
