"""Learning rates: a rate is a pure function of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf

from alexnet.model.config import Schedule, TrainConfig

# The paper divided the rate by 10 when validation stalled, three times in 90 epochs;
# here at fixed shares of the way.
STEP_SHARES = (0.5, 0.75, 0.9)


@dataclass(frozen=True)
class LearningRate:
    """A linear warm-up to `peak`, then `schedule` until `total_steps`, then its end."""

    schedule: Schedule
    peak: float
    warmup_steps: int
    total_steps: int

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """The rate of a step, float32 []; the first step is 0."""
        done = tf.cast(step, tf.float32)
        falling = max(1, self.total_steps - self.warmup_steps)
        share = tf.clip_by_value((done - self.warmup_steps) / falling, 0.0, 1.0)
        warm = (done + 1) / max(1, self.warmup_steps)
        return self.peak * tf.where(
            done < self.warmup_steps, warm, self._fallen_to(share)
        )

    def _fallen_to(self, share: tf.Tensor) -> tf.Tensor:
        """The part of the peak left after a share of the way, in [0, 1]."""
        if self.schedule == "cosine":
            return 0.5 * (1 + tf.cos(math.pi * share))
        if self.schedule == "steps":
            passed = tf.reduce_sum(
                tf.cast(share >= tf.constant(STEP_SHARES), tf.float32)
            )
            return 0.1**passed
        return tf.ones_like(share)


def make_learning_rate(config: TrainConfig, steps_per_epoch: int) -> LearningRate:
    """The schedule of `config` for epochs of that many steps."""
    constant = config.schedule == "constant"
    warmup = 0 if constant else round(config.rising_epochs * steps_per_epoch)
    total = config.falling_epochs * steps_per_epoch
    return LearningRate(config.schedule, config.learning_rate, warmup, total)
