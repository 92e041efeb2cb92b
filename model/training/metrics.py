"""Metrics of an epoch: sums over the examples of all replicas, part of a saved state.

Keras's metrics keep each replica's part and add them up when they are read. Saved and
restored the parts would be evened out, and the metrics of a resumed epoch differ from
an unbroken one's in the last digits; here every replica holds the whole sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from alexnet.model.training.replicas import replicated_variable, sum_over_replicas

# A mean cross-entropy that training does not come back from.
HOPELESS_LOSS = 1e4


class Metrics(NamedTuple):
    """Metrics of an epoch so far, on the host."""

    loss: float
    accuracy: float
    # Steps until the mean loss was no number, or hopeless.
    sound_steps: int
    # Steps that loss scaling skipped, where float16 overflowed.
    skipped_steps: int


class MetricSums(tf.Module):
    """The sums of an epoch so far: losses, hits, examples, sound and skipped steps."""

    def __init__(self) -> None:
        super().__init__()
        self.sums = replicated_variable(tf.zeros([5]), tf.float32)

    def reset(self) -> None:
        """Begin an epoch or a validation."""
        self.sums.assign(tf.zeros_like(self.sums))

    def add(
        self,
        losses: tf.Tensor,
        hits: tf.Tensor,
        weights: tf.Tensor,
        skipped: tf.Tensor | bool = False,
    ) -> None:
        """Add a step's examples on this replica, float32 [batch]; 0 weighs padding."""
        mine = tf.reduce_sum(tf.stack([losses, hits, tf.ones_like(hits)]) * weights, 1)
        examples = sum_over_replicas(mine)
        total, _, count = tf.unstack(self.sums[:3] + examples)
        # No comparison with NaN is true.
        steps = tf.cast([total / count < HOPELESS_LOSS, skipped], tf.float32)
        self.sums.assign_add(tf.concat([examples, steps], 0))

    def read(self) -> Metrics:
        """The metrics so far; this waits for the device."""
        loss, hits, examples, sound, skipped = self.sums.numpy()
        examples = max(examples, np.float32(1))  # float32, as on the device
        return Metrics(
            float(loss / examples), float(hits / examples), int(sound), int(skipped)
        )
