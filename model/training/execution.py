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
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.train_step import TrainableClassifier


class InputClock:
    """Seconds that training steps have waited for batches since the last reset."""

    def __init__(self) -> None:
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def timed_next(self, iterator: Any) -> Any:
        """The iterator's next element, its waiting time added, inside a tf.function."""
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(iterator)
        arrived = tf.nest.flatten(batch, expand_composites=True)
        with tf.control_dependencies(arrived):
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
    ) -> None:
        """`side` is that of the images that steps take, by default the network's."""
        self.classifier, self.strategy, self.side = classifier, strategy, side
        self.steps_at_once, self.device_lags = steps_at_once, device_lags
        self._clock = InputClock()
        several = steps_at_once > 1
        train = self._train_steps if several else self._train_step
        self._train = tf.function(train, reduce_retracing=True)
        self._test = tf.function(self._test_step, reduce_retracing=True)

    def train(
        self,
        batches: Any,
        num_steps: int,
        after_steps: Callable[[int], bool] = lambda taken: False,
    ) -> Training:
        """Take steps on the batches of an iterator.

        `after_steps` is called with the number of steps taken so far after each call of
        the device, and says whether it has waited for them; what it raises ends the
        training.
        """
        started, taken = time.monotonic(), 0
        waited, step_seconds, is_idle = [], [], False
        self._clock.take()
        while taken < num_steps:
            steps = min(self.steps_at_once, num_steps - taken)
            if is_idle and self.device_lags:
                waited.append(self._clock.take())
                called = time.monotonic()
                self._call(batches, steps)
                self.classifier.metrics.read()
                waited.append(self._clock.take())
                busy_seconds = time.monotonic() - called - waited[-1]
                step_seconds.append(busy_seconds / steps)
            else:
                self._call(batches, steps)
            taken += steps
            is_idle = after_steps(taken)
        metrics = self.classifier.metrics.read()  # once all steps are taken
        seconds = time.monotonic() - started
        input_seconds = sum(waited) + self._clock.take()
        if step_seconds:
            idle_seconds = max(0.0, seconds - num_steps * median(step_seconds))
            input_seconds = min(input_seconds, idle_seconds)
        return Training(metrics, seconds, input_seconds)

    def _call(self, batches: Any, steps: int) -> None:
        with tf.device("CPU:0"):  # where the loop counts
            self._train(batches, tf.constant(steps))

    def validate(self, batches: Any, num_steps: int) -> Metrics:
        """Metrics over the next batches of an iterator."""
        self.classifier.metrics.reset()
        for _ in range(num_steps):
            self._test(batches)
        return self.classifier.metrics.read()

    def _train_steps(self, batches: Any, steps: tf.Tensor) -> None:
        for _ in tf.range(steps):
            self._train_step(batches, steps)

    @without_autograph
    def _train_step(self, batches: Any, steps: tf.Tensor) -> None:
        batch = self._clock.timed_next(batches)
        self.strategy.run(self.classifier.train_step, args=(batch, self.side))

    @without_autograph
    def _test_step(self, batches: Any) -> None:
        self.strategy.run(self.classifier.test_step, args=(next(batches),))


def step_function(
    classifier: TrainableClassifier, strategy: tf.distribute.Strategy
) -> Callable[[tf.Tensor, tf.Tensor], Any]:
    """The classifier's training step, to be called with uint8 images and labels."""

    def step(images: tf.Tensor, labels: tf.Tensor) -> Any:
        return strategy.run(classifier.train_step, args=((images, labels),))

    function: Callable[[tf.Tensor, tf.Tensor], Any] = tf.function(step)
    return function
