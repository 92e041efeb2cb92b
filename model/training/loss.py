"""Cross-entropy, and the loss a network is trained on: softened labels, class weights.

Both are of float32 logits, an example each; a step adds them up over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from alexnet.model.config import Loss


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """float32 [batch]; targets int64 [batch] or one-hot float32 [batch, classes]."""
    if targets.dtype.is_integer:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


@dataclass(frozen=True)
class TrainingLoss:
    """The loss of training examples.

    Labels give the share `label_smoothing` to all classes evenly (Szegedy 2016, section
    7). An example counts as much as the weight of its class says, a mixed one as much
    as its shares of them; as in Keras, the batch's sum is divided by its examples.
    """

    kind: Loss = "sparse"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    @property
    def needs_one_hot(self) -> bool:
        """Whether targets have to be one-hot: class numbers do not do."""
        return self.kind == "one-hot" or self.label_smoothing > 0

    def __call__(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """float32 [batch]; targets as `cross_entropy` takes them."""
        losses = cross_entropy(self._smoothed(targets), logits)
        if self.class_weights is None:
            return losses
        return losses * self._example_weights(targets)

    def _smoothed(self, targets: tf.Tensor) -> tf.Tensor:
        if not self.label_smoothing:
            return targets
        share = self.label_smoothing / targets.shape[-1]
        return targets * (1 - self.label_smoothing) + share

    def _example_weights(self, targets: tf.Tensor) -> tf.Tensor:
        weights = tf.constant(self.class_weights, tf.float32)
        if targets.dtype.is_integer:
            return tf.gather(weights, targets)
        return tf.linalg.matvec(targets, weights)


def balanced_weights(class_counts: Sequence[int]) -> tuple[float, ...]:
    """Weights by which every class counts the same, 1 on average over the examples.

    scikit-learn's `compute_class_weight("balanced")`; a class without examples has 0.
    """
    share = sum(class_counts) / sum(count > 0 for count in class_counts)
    return tuple(share / count if count else 0.0 for count in class_counts)
