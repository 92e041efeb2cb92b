"""What happens around steps and epochs: records, saved states, progress, sanity."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from tensorflow import keras

from alexnet.model.training.checkpoints import Checkpoints, blown_up
from alexnet.model.training.history import EpochRecord, best_epoch, is_out_of_patience
from alexnet.model.training.optimizer import LearningRate
from alexnet.model.training.run import RunFolder
from alexnet.model.training.signals import StopSignals

# A cross-entropy that training does not come back from.
HOPELESS_LOSS = 1e4


@dataclass(frozen=True)
class Start:
    """Where in a run this process goes on: so many steps into an epoch."""

    epoch: int
    step: int
    steps_per_epoch: int

    def skipped(self, epoch: int) -> int:
        """Steps of an epoch that another process has made."""
        return self.step if epoch == self.epoch else 0

    def steps_after(self, epoch: int, batch: int) -> int:
        """Steps of the run after a batch, which Keras numbers from 0 in each epoch."""
        return epoch * self.steps_per_epoch + self.skipped(epoch) + batch + 1


class Progress(Protocol):
    """What the command line shows while a run goes on."""

    def start(self, first_step: int, total_steps: int) -> None:
        """The run begins, or goes on, at `first_step`."""

    def step(self, step: int, logs: dict[str, float]) -> None:
        """A step has ended; `logs` are the epoch's figures so far."""

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """An epoch has ended; `gpu` describes its GPUs' load, '' without any."""


class EpochRecorder(keras.callbacks.Callback):
    """Measures every epoch and appends its line to the run's history."""

    def __init__(
        self,
        run: RunFolder,
        history: list[EpochRecord],
        start: Start,
        batch_size: int,
        learning_rate: LearningRate,
        on_record: Callable[[EpochRecord], None],
        saves: bool,
    ) -> None:
        super().__init__()
        self.run, self.history = run, history
        self.begun, self.batch_size = start, batch_size
        self.learning_rate = learning_rate
        self.on_record, self.saves = on_record, saves

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the epoch's clocks."""
        self.model.clock.take()
        self.started = time.monotonic()
        self.trained: float | None = None

    def on_test_begin(self, logs: Any = None) -> None:
        """Validation begins: the training's part of the epoch is over."""
        self._stop_clock()

    def _stop_clock(self) -> None:
        if self.trained is None:
            self.trained = time.monotonic() - self.started
            self.waited = self.model.clock.take()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the epoch's record."""
        logs = logs or {}
        self._stop_clock()
        seconds = self.trained or 0.0
        step = (epoch + 1) * self.begun.steps_per_epoch
        steps_here = self.begun.steps_per_epoch - self.begun.skipped(epoch)
        rate = float(self.learning_rate(step - 1))
        record = EpochRecord(
            epoch=epoch + 1,
            step=step,
            learning_rate=rate,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=_optional(logs, "val_loss"),
            val_accuracy=_optional(logs, "val_accuracy"),
            images_per_second=steps_here * self.batch_size / seconds,
            input_wait_share=self.waited / seconds,
            seconds=seconds,
            skipped_steps=int(logs.get("skipped_steps", 0)),
        )
        self.history.append(record)
        if self.saves:
            self.run.save_history(self.history)
        self.on_record(record)


def _optional(logs: dict[str, float], name: str) -> float | None:
    return float(logs[name]) if name in logs else None


class _InRun(keras.callbacks.Callback):
    """Knows which step of the run a batch of an epoch is."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.begun, self.epoch = start, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self.epoch = epoch

    def step_after(self, batch: int) -> int:
        """Steps of the run after a batch of this epoch."""
        return self.begun.steps_after(self.epoch, batch)


class LossGuard(_InRun):
    """Ends a run whose loss is no number, or hopeless, at the step where it happens."""

    def __init__(
        self, run: RunFolder, start: Start, learning_rate: LearningRate
    ) -> None:
        super().__init__(start)
        self.run, self.learning_rate = run, learning_rate

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Look at the epoch's mean loss, which one bad step spoils.

        Raises:
            RunError: it is spoilt.
        """
        loss = (logs or {})["loss"]
        if not (math.isfinite(loss) and loss < HOPELESS_LOSS):
            step = self.step_after(batch)
            rate = float(self.learning_rate(step - 1))
            what = f"the loss is {loss:g}, at a learning rate of {rate:g},"
            raise blown_up(self.run, step, what)


class StateSaver(_InRun):
    """Saves after every epoch, every so many minutes, and when asked to stop.

    The best is that of the highest validation accuracy; there is none without one.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        history: list[EpochRecord],
        start: Start,
        minutes: float,
        signals: StopSignals,
        agree: Callable[[bool, bool], tuple[bool, bool]] | None = None,
    ) -> None:
        """`agree` tells what any of the workers wants: to save, to stop."""
        super().__init__(start)
        self.checkpoints, self.history = checkpoints, history
        self.seconds, self.signals, self.agree = 60 * minutes, signals, agree
        self.figures = _figures(checkpoints)
        self.saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Take the figures of a begun epoch up again, which Keras has just reset."""
        super().on_epoch_begin(epoch, logs)
        if self.begun.skipped(epoch):
            variables = self.checkpoints.classifier.metric_variables
            for variable, value in zip(variables, self.figures, strict=True):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save when it is time to, or to stop.

        Raises:
            KeyboardInterrupt: a signal asked for it; the state is saved.
        """
        step = self.step_after(batch)
        if step % self.begun.steps_per_epoch == 0:
            return  # validated first, then saved as a whole epoch
        due = time.monotonic() - self.saved >= self.seconds
        due, stop = self._agreed(due)
        if due or stop:
            self._save(step, self.epoch)
        if stop:
            self.signals.stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save; the epoch's record is in the history already.

        Raises:
            KeyboardInterrupt: a signal asked for it; the state is saved.
        """
        is_best = best_epoch(self.history) is self.history[-1]
        self._save((epoch + 1) * self.begun.steps_per_epoch, epoch + 1, is_best)
        if self._agreed(due=False)[1]:
            self.signals.stop()

    def _agreed(self, due: bool) -> tuple[bool, bool]:
        """Whether any worker is due to save, and whether any was asked to stop."""
        wishes = due, self.signals.received is not None
        return self.agree(*wishes) if self.agree else wishes

    def _save(self, step: int, epoch: int, is_best: bool = False) -> None:
        self.checkpoints.save(step, epoch, is_best)
        self.saved = time.monotonic()


def _figures(checkpoints: Checkpoints) -> list[np.ndarray]:
    variables = checkpoints.classifier.metric_variables
    return [variable.numpy() for variable in variables]


class EarlyStop(keras.callbacks.Callback):
    """Ends the training once its validation accuracy has not risen for long enough."""

    def __init__(self, history: list[EpochRecord], patience: int | None) -> None:
        super().__init__()
        self.history, self.patience = history, patience

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look at the history, in which the epoch's record is already."""
        if is_out_of_patience(self.history, self.patience):
            self.model.stop_training = True


class ProgressCallback(_InRun):
    """Tells the command line of every step."""

    def __init__(self, progress: Progress, start: Start) -> None:
        super().__init__(start)
        self.progress = progress

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Pass the step on."""
        self.progress.step(self.step_after(batch), logs or {})
