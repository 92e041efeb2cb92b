"""What happens around an epoch: its record, its checkpoints, its progress."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf
from tensorflow import keras

from model.classifier import Classifier
from model.optimizer import LearningRate
from model.run import EpochRecord, RunFolder
from pipeline.errors import RunError


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
        steps_per_epoch: int,
        batch_size: int,
        learning_rate: LearningRate,
        on_record: Callable[[EpochRecord], None],
        saves: bool,
    ) -> None:
        super().__init__()
        self.run, self.history = run, history
        self.steps_per_epoch, self.batch_size = steps_per_epoch, batch_size
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
        """Add the epoch's record.

        Raises:
            RunError: the loss is not a number any more.
        """
        logs = logs or {}
        self._stop_clock()
        seconds = self.trained or 0.0
        step = (epoch + 1) * self.steps_per_epoch
        rate = float(self.learning_rate(step - 1))
        if not logs["loss"] < float("inf"):
            raise RunError(
                f"the loss is {logs['loss']} in epoch {epoch + 1}, at a learning rate"
                f" of {rate:g}. Start again with a lower --learning-rate;"
                f" {epoch} finished epochs are kept in {self.run.path}."
            )
        record = EpochRecord(
            epoch=epoch + 1,
            step=step,
            learning_rate=rate,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=_optional(logs, "val_loss"),
            val_accuracy=_optional(logs, "val_accuracy"),
            images_per_second=self.steps_per_epoch * self.batch_size / seconds,
            input_wait_share=self.waited / seconds,
            seconds=seconds,
        )
        self.history.append(record)
        if self.saves:
            self.run.save_history(self.history)
        self.on_record(record)


def _optional(logs: dict[str, float], name: str) -> float | None:
    return float(logs[name]) if name in logs else None


@dataclass
class Checkpoints:
    """The last state, to go on from, and the best network, to use."""

    run: RunFolder
    classifier: Classifier
    is_chief: bool = True

    def __post_init__(self) -> None:
        # Every worker has to take part in saving; only the chief's copies are kept.
        self._spare = None if self.is_chief else tempfile.TemporaryDirectory()
        self.epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
        network = self.classifier.network
        self._last = self._manager(
            "last",
            tf.train.Checkpoint(
                network=network, optimizer=self.classifier.optimizer, epoch=self.epoch
            ),
        )
        self._best = self._manager(
            "best", tf.train.Checkpoint(network=network, epoch=self.epoch)
        )

    def _manager(
        self, which: str, checkpoint: tf.train.Checkpoint
    ) -> tf.train.CheckpointManager:
        run = RunFolder(Path(self._spare.name)) if self._spare else self.run
        folder = str(run.checkpoints_path(which))
        return tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1)

    def restore_last(self) -> int:
        """Load the last checkpoint; return how many epochs it has behind it.

        Raises:
            RunError: it does not fit the network.
        """
        # From the chief's folder: every worker goes on from the same state.
        latest = tf.train.latest_checkpoint(str(self.run.checkpoints_path("last")))
        if latest is None:
            return 0
        self.classifier.optimizer.build(self.classifier.network.trainable_variables)
        try:
            status = self._last.checkpoint.restore(latest)
            status.assert_existing_objects_matched()
        except (ValueError, AssertionError, tf.errors.OpError) as error:
            raise RunError(
                f"{latest} cannot be restored: {str(error).splitlines()[0]}"
            ) from error
        return int(self.epoch.numpy())

    def save(self, epoch: int, is_best: bool) -> None:
        """Write the last checkpoint, and the best one when this epoch is."""
        self.epoch.assign(epoch)
        self._last.save(checkpoint_number=epoch)
        if is_best:
            self._best.save(checkpoint_number=epoch)


def load_network(run: RunFolder, network: keras.Model, which: str = "last") -> int:
    """Load a checkpoint's weights into `network`; return its epoch.

    Raises:
        RunError: there is no checkpoint, or it is of another network.
    """
    folder = run.checkpoints_path(which)
    path = tf.train.latest_checkpoint(str(folder))
    if path is None:
        raise RunError(f"{folder} holds no checkpoint yet: no epoch has been finished")
    epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(network=network, epoch=epoch)
    try:
        checkpoint.restore(path).expect_partial().assert_existing_objects_matched()
    except (ValueError, AssertionError, tf.errors.OpError) as error:
        raise RunError(
            f"{path} does not fit this network: {str(error).splitlines()[0]}"
        ) from error
    return int(epoch.numpy())


class CheckpointSaver(keras.callbacks.Callback):
    """Saves after every epoch; the best is that of the highest validation accuracy."""

    def __init__(self, checkpoints: Checkpoints, history: list[EpochRecord]) -> None:
        super().__init__()
        self.checkpoints, self.history = checkpoints, history

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save; the epoch's record is in the history already."""
        *before, now = [_score(record) for record in self.history]
        self.checkpoints.save(epoch + 1, all(now > score for score in before))


def _score(record: EpochRecord) -> float:
    return record.accuracy if record.val_accuracy is None else record.val_accuracy


class ProgressCallback(keras.callbacks.Callback):
    """Tells the command line of every step."""

    def __init__(self, progress: Progress, steps_per_epoch: int) -> None:
        super().__init__()
        self.progress, self.steps_per_epoch = progress, steps_per_epoch
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch: Keras numbers the steps of each from 0."""
        self.epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Pass the step on."""
        self.progress.step(self.epoch * self.steps_per_epoch + batch + 1, logs or {})
