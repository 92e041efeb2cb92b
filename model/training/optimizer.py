"""An optimizer: each replica updates its own copy of the weights, where they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import tensorflow as tf
from tensorflow import keras

from alexnet.model.training.learning_rate import LearningRate
from alexnet.pipeline.augment.device import HOST


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
    # Whether weight decay is decoupled: weights shrink apart from the update.
    decays_apart: ClassVar[bool] = True

    def __init__(
        self,
        weights: Sequence[tf.Variable],
        learning_rate: LearningRate,
        weight_decay: float = 0.0,
        scales: Sequence[float] = (),
        clip_norm: float | None = None,
    ) -> None:
        """`scales` are the weights' multiples of the learning rate, by default 1."""
        super().__init__()
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.clip_norm = clip_norm
        self.slots = [
            [tf.Variable(tf.zeros(weight.shape), trainable=False) for _ in self._slots]
            for weight in weights
        ]
        self._weights = tuple(weights)
        self._scales = tuple(scales) or (1.0,) * len(self._weights)

    @property
    def _slots(self) -> range:
        return range(self.num_slots)

    def apply(self, gradients: Sequence[tf.Tensor], step: tf.Tensor | int) -> None:
        """Take a step, of which the first is 0.

        The gradients are the sums of all replicas'; the step's number is on the host.
        """
        if self.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
        with tf.device(HOST):  # a few numbers: not a kernel for each of them
            full_rate = self.learning_rate(step)
        for weight, slots, gradient, scale in zip(
            self._weights, self.slots, gradients, self._scales, strict=True
        ):
            with tf.device(HOST):
                rate = full_rate * scale
                kept = 1 - rate * self.weight_decay
            if self.weight_decay and self.decays_apart and is_kernel(weight):
                assign(weight, weight * kept)
            self._update(weight, slots, gradient, rate, step)

    @abstractmethod
    def _update(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        gradient: tf.Tensor,
        rate: tf.Tensor,
        step: tf.Tensor | int,
    ) -> None:
        """Update one weight and its slots."""


def is_kernel(weight: tf.Variable) -> bool:
    """Tell whether a weight has decay and layer-wise rates; a vector has neither.

    That is a bias, or an offset or scale of a normalisation: shrinking it has no use.
    """
    return bool(weight.shape.rank > 1)


def assign(variable: tf.Variable, value: tf.Tensor) -> None:
    """Give a variable a value on this replica, where it waits for no other."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
