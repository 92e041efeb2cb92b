"""Loss scaling: keeps float16 gradients from vanishing (Micikevicius 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from alexnet.model.training.optimizer import Optimizer
from alexnet.model.training.replicas import replicated_variable

# Section 3.2, with Keras's figures.
FIRST_SCALE, GROWTH_STEPS = 2.0**15, 2000


class LossScale(tf.Module):
    """A factor of the loss that is as large as float16 allows.

    Doubled after `growth_steps` good steps in a row, and halved by a step whose
    gradients overflow, which is skipped.
    """

    def __init__(
        self, first: float = FIRST_SCALE, growth_steps: int = GROWTH_STEPS
    ) -> None:
        super().__init__()
        self.growth_steps = growth_steps
        self.scale = replicated_variable(first, tf.float32)
        self.good_steps = replicated_variable(0, tf.int64)

    def apply(
        self,
        optimizer: Optimizer,
        gradients: Sequence[tf.Tensor],
        step: tf.Tensor | int,
    ) -> tf.Tensor:
        """Take a step by scaled gradients; bool [], true where it was skipped."""
        scale, good_steps = tf.identity(self.scale), tf.identity(self.good_steps)
        gradients = [gradient / scale for gradient in gradients]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        tf.cond(finite, lambda: optimizer.apply(gradients, step), lambda: None)
        grows = finite & (good_steps + 1 >= self.growth_steps)
        factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
        counted = tf.where(finite & ~grows, good_steps + 1, 0)
        # As in an optimizer, each replica's own: they have decided alike.
        tf.raw_ops.AssignVariableOp(resource=self.scale.handle, value=scale * factor)
        tf.raw_ops.AssignVariableOp(resource=self.good_steps.handle, value=counted)
        return ~finite
