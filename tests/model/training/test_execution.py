"""Steps in calls of the device: the same steps, no look between them, honest clocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from alexnet.model.training.epoch_clock import EpochClock
from alexnet.model.training.execution import Execution, InputClock
from alexnet.model.training.metrics import Metrics
from alexnet.pipeline.augment.presets import preset
from tests.conftest import BATCH, TRAIN_SIDE
from tests.model.training.test_classifier import (
    IMAGES,
    LABELS,
    classifier,
    require_close,
)

STRATEGY = tf.distribute.get_strategy()


def test_steps_in_one_call_are_the_same_steps() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(BATCH, True)
    trained = []
    for steps_at_once, calls in ((1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])):
        made = classifier(augment=preset("paper"))
        taken: list[int] = []

        def note(steps: int, taken: list[int] = taken) -> bool:
            taken.append(steps)
            return False

        training = Execution(made, STRATEGY, steps_at_once).train(
            iter(dataset.repeat()), 5, note
        )
        assert taken == calls
        assert training.metrics.sound_steps == 5
        trained.append([*made.network.get_weights(), np.array(training.metrics.loss)])
    require_close(trained[1], trained[0], rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_nothing_is_read_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a training, and once a validation."""
    made, reads = classifier(), []
    read = made.metrics.read

    def note() -> Metrics:
        reads.append(1)
        return read()

    monkeypatch.setattr(made.metrics, "read", note)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(BATCH, True)
    weighted = dataset.map(lambda images, labels: (images, labels, tf.ones(BATCH)))
    made_of = Execution(made, STRATEGY)
    # No tensor of a step reaches the host: TensorFlow would refuse to hand one over.
    numbers = tf.constant(0, tf.int64), tf.constant(1)
    assert made_of._train(iter(dataset), *numbers) is None
    made_of.train(iter(dataset), 4)
    assert len(reads) == 1
    assert made_of.validate(iter(weighted), 4).loss > 0
    assert len(reads) == 2


def slow_batches(count: int, seconds: float) -> tf.data.Dataset:
    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(count):
            time.sleep(seconds)
            yield IMAGES[:BATCH], LABELS[:BATCH]

    signature = (
        tf.TensorSpec([BATCH, TRAIN_SIDE, TRAIN_SIDE, 3], tf.uint8),
        tf.TensorSpec([BATCH], tf.int64),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature)


def test_the_clock_sees_a_slow_input() -> None:
    clock = InputClock()
    wait = tf.function(clock.timed_next)
    start = time.monotonic()
    iterator = iter(slow_batches(3, 0.05))
    for _ in range(3):
        images, _ = wait(iterator)
    elapsed = time.monotonic() - start
    np.testing.assert_array_equal(images.numpy(), IMAGES[:BATCH])
    assert 0.1 < clock.take() <= elapsed
    assert clock.take() == 0


@pytest.mark.slow
def test_the_training_times_every_step_of_a_call() -> None:
    training = Execution(classifier(), STRATEGY, 2).train(iter(slow_batches(2, 0.1)), 2)
    assert 0.15 < training.input_wait_seconds < training.seconds


class LaggingDevice(Execution):
    """A device that works behind the calls, on a clock of its own.

    A batch is there every `input_seconds`, and a step takes `step_seconds`.
    """

    def __init__(
        self,
        input_seconds: float,
        step_seconds: float,
        clock: EpochClock | None = None,
    ) -> None:
        self.now = self.free_at = self.batch_at = self.waited = self.idle = 0.0
        self.input_seconds, self.step_seconds = input_seconds, step_seconds
        read: Any = SimpleNamespace(metrics=SimpleNamespace(read=self.drain))
        super().__init__(read, STRATEGY, device_lags=True, clock=clock)
        input_clock: Any = SimpleNamespace(take=self.take)
        self._input_clock, self._train = input_clock, self.launch

    def launch(self, batches: Any, step: tf.Tensor, steps: tf.Tensor) -> None:
        self.batch_at = max(self.batch_at, self.now - self.input_seconds)
        self.batch_at += self.input_seconds
        self.waited += max(0.0, self.batch_at - self.now)
        self.now = max(self.now, self.batch_at)
        self.idle += max(0.0, self.now - self.free_at)
        self.free_at = max(self.free_at, self.now) + self.step_seconds

    def drain(self) -> Metrics:
        self.now = max(self.now, self.free_at)
        return Metrics(0.5, 0.5, 0, 0)

    def take(self) -> float:
        waited, self.waited = self.waited, 0.0
        return waited


@pytest.mark.parametrize(
    ("input_seconds", "step_seconds"), [(0.5, 1.0), (0.9, 1.0), (2.0, 1.0), (0.01, 1.0)]
)
def test_a_host_that_waits_beside_a_busy_device_has_lost_nothing(
    monkeypatch: pytest.MonkeyPatch, input_seconds: float, step_seconds: float
) -> None:
    device = LaggingDevice(input_seconds, step_seconds)
    monkeypatch.setattr(time, "monotonic", lambda: device.now)

    def look(taken: int) -> bool:
        if taken % 10:
            return False
        device.drain()
        return True

    training = device.train(None, 100, look)
    assert training.input_wait_seconds == pytest.approx(device.idle, abs=2.0)


def test_what_is_not_the_steps_is_the_inputs_or_the_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look every ten steps takes Python a second, and the device has no batch."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = EpochClock()
    device = LaggingDevice(2.0, 1.0, clock)
    monkeypatch.setattr(time, "monotonic", lambda: device.now)

    def look(taken: int) -> bool:
        device.now += taken % 10 == 0
        return False

    training = device.train(None, 100, look)
    spent = clock.read()
    assert spent.host == 10
    assert spent.input == training.input_wait_seconds > 0
    assert sum(astuple(spent)) == training.seconds == device.now
