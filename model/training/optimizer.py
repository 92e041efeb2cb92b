"""Optimizers and learning rates; a rate is a pure function of the step."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import Schedule, TrainConfig

# Krizhevsky 2012, section 5.
MOMENTUM = 0.9
# The paper divided the rate by 10 when validation stalled, three times in 90 epochs;
# here at fixed shares of the way.
STEP_SHARES = (0.5, 0.75, 0.9)
# Weight decay is for kernels: shrinking offsets and scales has no use.
NOT_DECAYED = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable(package="alexnet")
class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up to `peak`, then `schedule` until `total_steps`, then its end."""

    def __init__(
        self, schedule: Schedule, peak: float, warmup_steps: int, total_steps: int
    ) -> None:
        self.schedule = schedule
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

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

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this schedule again."""
        return dict(vars(self))


@keras.saving.register_keras_serializable(package="alexnet")
class Momentum(keras.optimizers.SGD):
    """Keras's SGD with momentum, in fewer passes over the weights.

    Its step of 58 million weights goes through memory a third as often, which is the
    part of a training step on a CPU that half precision does not shorten.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One variable's step: v = momentum v - rate g; w = w + v."""
        velocity = self.momentums[self._index_dict[self._var_key(variable)]]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(self.learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
        )

    def _apply_weight_decay(self, variables: list[tf.Variable]) -> None:
        if self.weight_decay is None:
            return
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._shrink, self._distribution_strategy, variables
        )

    def _shrink(
        self, strategy: tf.distribute.Strategy, variables: list[tf.Variable]
    ) -> None:
        kept = 1 - tf.cast(self.learning_rate, tf.float32) * self.weight_decay
        for variable in variables:
            if self._use_weight_decay(variable):
                strategy.extended.update(
                    variable, lambda weights: weights.assign(weights * kept)
                )


def make_learning_rate(config: TrainConfig, steps_per_epoch: int) -> LearningRate:
    """The schedule of `config` for epochs of that many steps."""
    constant = config.schedule == "constant"
    warmup = 0 if constant else round(config.rising_epochs * steps_per_epoch)
    total = config.falling_epochs * steps_per_epoch
    return LearningRate(config.schedule, config.learning_rate, warmup, total)


def make_optimizer(
    config: TrainConfig, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """The Keras optimizer of `config`."""
    options: dict[str, Any] = {
        "learning_rate": make_learning_rate(config, steps_per_epoch),
        "weight_decay": config.weight_decay or None,
    }
    if config.optimizer == "adam":
        optimizer = (
            keras.optimizers.AdamW if config.weight_decay else keras.optimizers.Adam
        )
        made = optimizer(**options)
    elif config.optimizer == "momentum":
        made = Momentum(momentum=MOMENTUM, **options)
    else:
        made = keras.optimizers.SGD(**options)
    if config.weight_decay:
        made.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return made
