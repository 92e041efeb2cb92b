"""A classifier: a network behind the preprocessing of an augmentation.

A uint8 batch goes in, probabilities come out: what is evaluated, served and exported.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.pipeline.augment.augment import preprocess_batch
from alexnet.pipeline.augment.views import evaluation_views
from alexnet.pipeline.config import AugmentConfig, Tta

# A step has no Python to turn into a graph; looking for some took most of a start.
without_autograph = tf.autograph.experimental.do_not_convert


class Classifier(tf.Module):
    """A network that takes uint8 batches [batch, S, S, 3] and gives probabilities."""

    def __init__(
        self, network: keras.Model, augment: AugmentConfig, *, xla: bool = False
    ) -> None:
        super().__init__(name="classifier")
        self.network = network
        self.augment = augment
        self.side = network.input_shape[1]
        self.num_classes = network.output_shape[-1]
        self._logits = compiled(self._compute_logits) if xla else self._compute_logits

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Probabilities float32 [batch, classes] of uint8 [batch, S, S, 3]."""
        return tf.nn.softmax(self.eval_logits(images))

    @without_autograph
    def eval_logits(self, images: tf.Tensor) -> tf.Tensor:
        """Logits float32 [batch, classes] of uint8 [batch, S, S, 3]."""
        return self._logits(preprocess_batch(images, self.augment, self.side))

    @without_autograph
    def tta_logits(self, images: tf.Tensor, tta: Tta) -> tf.Tensor:
        """Logits of the views' mean probabilities: their logarithms.

        Raises:
            ConfigError: the network sees the whole picture, which `ten-crop` cannot.
        """
        if tta == "none":
            return self.eval_logits(images)
        views = evaluation_views(images, self.augment, self.side, tta)
        logs = tf.stack([tf.nn.log_softmax(self._logits(view)) for view in views])
        return tf.reduce_logsumexp(logs, axis=0) - math.log(len(views))

    def _compute_logits(self, view: tf.Tensor) -> tf.Tensor:
        return self.run_network(view, training=False)

    def run_network(self, view: tf.Tensor, training: bool) -> tf.Tensor:
        """Logits float32 [batch, classes] of a preprocessed or augmented batch."""
        network = self.network_for(view.shape[1])
        inputs = tf.cast(view, network.input.dtype)
        return tf.cast(network(inputs, training=training), tf.float32)

    def network_for(self, side: int) -> keras.Model:
        """The network for images of a side: by default the one that it evaluates."""
        return self.network


def compiled(function: Any) -> Any:
    """The function, compiled by XLA when it is called."""
    return tf.function(function, jit_compile=True, autograph=False)
