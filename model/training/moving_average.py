"""A moving average of the weights: the network that is validated, kept and exported.

It forgets the steps of long ago, and evens out those of late, which a learning rate
that is still high scatters (Polyak 1992; as used in Szegedy 2016, section 8).
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from alexnet.model.training.classifier import Classifier
from alexnet.model.training.optimizer import unwrapped
from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.config import AugmentConfig


class AveragedClassifier(Classifier):
    """A classifier whose weights are the moving average of another network's.

    All of its weights, the statistics of batch norm too. Make it in the strategy's
    scope, and call `follow` in a replica's context.
    """

    def __init__(
        self,
        network: keras.Model,
        augment: AugmentConfig,
        decay: float,
        *,
        xla: bool = False,
    ) -> None:
        """`network` is one of its own; `decay` is what a step leaves of the average."""
        super().__init__(network, augment, xla=xla)
        self.decay = decay

    def follow(self, network: keras.Model, step: tf.Tensor | int) -> None:
        """Take in the weights that `network` has after a step; the first one is 0."""
        decay = self._decay_at(step)
        for average, weight in zip(self.network.weights, network.weights, strict=True):
            average, weight = unwrapped(average), unwrapped(weight)
            # Of a count this is 0: the average is the newest.
            share = tf.cast(decay, weight.dtype)
            value = share * average + (1 - share) * weight
            # As in an optimizer, each replica's own: all of them have the same.
            tf.raw_ops.AssignVariableOp(resource=average.handle, value=value)

    def _decay_at(self, step: tf.Tensor | int) -> tf.Tensor:
        """The decay, or less of it while the average is young, float32 [].

        As `tf.train.ExponentialMovingAverage` has it with `num_updates`, which here
        begin at -1, so that the average begins as the weights after the first step.
        """
        with tf.device(HOST):
            done = tf.cast(step, tf.float32)
            return tf.minimum(self.decay, done / (done + 9))
