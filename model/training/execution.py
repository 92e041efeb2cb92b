"""Execution of a classifier's steps under a strategy: TensorFlow functions of our own.

Nothing leaves the device between two steps: metrics stay there until they are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import tensorflow as tf

from alexnet.model.training.classifier import without_autograph
from alexnet.model.training.epoch_clock import EpochClock
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.augment.device import HOST


class InputClock:
    """Seconds that training steps have waited for batches since the last reset."""

    def __init__(self) -> None:
        with tf.device(HOST):
            self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def timed_next(self, iterator: Any) -> Any:
        """The iterator's next element, its waiting time added, inside a tf.function."""
        with tf.device(HOST):
            before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(iterator)
        arrived = tf.nest.flatten(batch, expand_composites=True)
        with tf.control_dependencies(arrived), tf.device(HOST):
            self._seconds.assign_add(tf.timestamp() - before)
        return batch

    def take(self) -> float:
        """The seconds so far; the clock starts again at 0."""
        seconds = float(self._seconds.numpy())
        self._seconds.assign(0.0)
        return seconds


class Training(NamedTuple):
    """Metrics of some steps, their time, and how much of it was spent on waiting."""

    metrics: Metrics
    seconds: float
    input_wait_seconds: float


class Execution:
    """A classifier's steps, `steps_at_once` of them in each call of a function.

    A GPU works behind the calls: the host waits for batches while it is still busy. So
    a step is waited for whenever the device was idle before it, and what all steps
    would take at that speed is no time that the input has cost.
    """

    def __init__(
        self,
        classifier: TrainableClassifier,
        strategy: tf.distribute.Strategy,
        steps_at_once: int = 1,
        *,
        device_lags: bool = False,
        side: int | None = None,
        clock: EpochClock | None = None,
    ) -> None:
        """`side` is that of the images that steps take, by default the network's.

        `clock` tells steps from what is done between them.
        """
        self.classifier, self.strategy, self.side = classifier, strategy, side
        self.steps_at_once, self.device_lags = steps_at_once, device_lags
        self._input_clock, self._clock = InputClock(), clock or EpochClock()
        several = steps_at_once > 1
        train = self._train_steps if several else self._train_step
        self._train = tf.function(train, reduce_retracing=True)
        self._test = tf.function(self._test_step, reduce_retracing=True)

    def train(
        self,
        batches: Any,
        num_steps: int,
        after_steps: Callable[[int], bool] = lambda taken: False,
        first_step: int = 0,
    ) -> Training:
        """Take steps on the batches of an iterator, from the run's `first_step` on.

        `after_steps` is called with the number of steps taken so far after each call of
        the device, and says whether it has waited for them; what it raises ends the
        training.
        """
        started, taken = time.monotonic(), 0
        waited, step_seconds, is_idle = [], [], False
        self._input_clock.take()
        while taken < num_steps:
            steps = min(self.steps_at_once, num_steps - taken)
            if is_idle and self.device_lags:
                waited.append(self._input_clock.take())
                called = time.monotonic()
                self._call(batches, first_step + taken, steps)
                self._read()
                waited.append(self._input_clock.take())
                busy_seconds = time.monotonic() - called - waited[-1]
                step_seconds.append(busy_seconds / steps)
            else:
                self._call(batches, first_step + taken, steps)
            taken += steps
            is_idle = after_steps(taken)
        metrics = self._read()  # once all steps are taken
        seconds = time.monotonic() - started
        input_seconds = sum(waited) + self._input_clock.take()
        if step_seconds:
            idle_seconds = max(0.0, seconds - num_steps * median(step_seconds))
            input_seconds = min(input_seconds, idle_seconds)
        self._clock.move_to_input(input_seconds)
        return Training(metrics, seconds, input_seconds)

    def _call(self, batches: Any, step: int, steps: int) -> None:
        with self._clock.spent_on("step"):
            with tf.device(HOST):  # not around the call, which it would put there too
                numbers = tf.constant(step, tf.int64), tf.constant(steps)
            self._train(batches, *numbers)

    def _read(self) -> Metrics:
        """The metrics once the device has taken all steps."""
        with self._clock.spent_on("step"):
            return self.classifier.metrics.read()

    def validate(self, batches: Any, num_steps: int) -> Metrics:
        """Metrics over the next batches of an iterator."""
        self.classifier.metrics.reset()
        for _ in range(num_steps):
            self._test(batches)
        return self.classifier.metrics.read()

    def _train_steps(self, batches: Any, step: tf.Tensor, steps: tf.Tensor) -> None:
        for number in tf.range(steps):  # int32, which TensorFlow keeps on the host
            with tf.device(HOST):
                later = step + tf.cast(number, tf.int64)
            self._train_step(batches, later, steps)

    @without_autograph
    def _train_step(self, batches: Any, step: tf.Tensor, steps: tf.Tensor) -> None:
        batch = self._input_clock.timed_next(batches)
        self.strategy.run(self.classifier.train_step, args=(batch, step, self.side))

    @without_autograph
    def _test_step(self, batches: Any) -> None:
        self.strategy.run(self.classifier.test_step, args=(next(batches),))


def step_function(
    classifier: TrainableClassifier, strategy: tf.distribute.Strategy
) -> Callable[[tf.Tensor, tf.Tensor], Any]:
    """The classifier's training step, to be called with uint8 images and labels."""
    with tf.device(HOST):
        taken = tf.Variable(0, trainable=False, dtype=tf.int64)

    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        number = tf.convert_to_tensor(taken.assign_add(1))
        return strategy.run(classifier.train_step, args=((images, labels), number))

    function: Callable[[tf.Tensor, tf.Tensor], Any] = tf.function(step)
    return function
