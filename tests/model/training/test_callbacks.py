"""Records, sanity, saving and progress, with stand-ins for what is around them."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.training.callbacks import (
    EarlyStop,
    EpochRecorder,
    LossGuard,
    ProgressCallback,
    Start,
    StateSaver,
)
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.optimizer import LearningRate
from alexnet.model.training.run import RunFolder
from alexnet.model.training.signals import StopSignals, Terminated
from alexnet.pipeline.errors import RunError
from tests.conftest import RecordedProgress

STEPS, BATCH = 4, 8
FIGURES = {"loss": 0.5, "accuracy": 0.75}
RECORD = EpochRecord(1, 4, 0.1, 0.5, 0.75, 0.6, 0.5, 1.0, 0.0, 1.0)
BEGINNING = Start(0, 0, STEPS)
RATE = LearningRate("cosine", 0.1, 0, 8 * STEPS)


class Clock:
    """An input clock that always shows a quarter of a second."""

    def take(self) -> float:
        return 0.25


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def recorder(
    run: RunFolder,
    history: list[EpochRecord],
    told: list[EpochRecord],
    saves: bool,
    start: Start = BEGINNING,
) -> EpochRecorder:
    made = EpochRecorder(run, history, start, BATCH, RATE, told.append, saves)
    made.model = SimpleNamespace(clock=Clock())
    return made


def test_an_epochs_record(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 102.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    history = [RECORD, replace(RECORD, epoch=2)]
    told: list[EpochRecord] = []
    made = recorder(run, history, told, saves=True)
    made.on_epoch_begin(2)
    made.on_test_begin()  # two seconds later; nobody looks at a clock after that
    made.on_epoch_end(2, {**FIGURES, "val_loss": 0.25, "val_accuracy": 1.0})
    record = history[-1]
    rate = 0.1 * (1 + math.cos(math.pi * (3 * STEPS - 1) / (8 * STEPS))) / 2
    assert record.learning_rate == pytest.approx(rate, rel=1e-5)
    assert record == EpochRecord(
        epoch=3,
        step=3 * STEPS,
        learning_rate=record.learning_rate,
        loss=0.5,
        accuracy=0.75,
        val_loss=0.25,
        val_accuracy=1.0,
        images_per_second=STEPS * BATCH / 2.0,
        input_wait_share=0.125,
        seconds=2.0,
    )
    assert told == [record]
    assert run.load_history() == history


def test_the_record_of_an_epoch_that_another_process_began(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its speed is that of the steps made here; its step is the run's."""
    now = iter([100.0, 102.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    history: list[EpochRecord] = []
    made = recorder(run, history, [], saves=False, start=Start(2, 3, STEPS))
    made.on_epoch_begin(2)
    made.on_epoch_end(2, {**FIGURES, "skipped_steps": 2.0})
    (record,) = history
    assert (record.epoch, record.step) == (3, 3 * STEPS)
    assert record.images_per_second == BATCH / 2.0
    assert record.skipped_steps == 2


def test_without_validation_and_on_another_worker(run: RunFolder) -> None:
    history: list[EpochRecord] = []
    made = recorder(run, history, [], saves=False)
    made.on_epoch_begin(0)
    made.on_epoch_end(0, FIGURES)
    assert (history[0].val_loss, history[0].val_accuracy) == (None, None)
    assert not run.history_path.exists()


@pytest.mark.parametrize(
    ("start", "epoch", "batch", "step"),
    [
        (BEGINNING, 0, 0, 1),
        (BEGINNING, 2, 3, 12),
        (Start(2, 3, STEPS), 2, 0, 12),
        (Start(2, 3, STEPS), 3, 0, 13),
    ],
)
def test_the_steps_behind_a_batch(
    start: Start, epoch: int, batch: int, step: int
) -> None:
    assert start.steps_after(epoch, batch) == step


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e5])
def test_a_hopeless_loss_ends_the_run_at_its_step(run: RunFolder, loss: float) -> None:
    guard = LossGuard(run, Start(1, 1, STEPS), RATE)
    guard.on_epoch_begin(1)
    guard.on_train_batch_end(0, {"loss": 9.0})
    with pytest.raises(RunError, match=f"the loss is {loss:g}, at a") as error:
        guard.on_train_batch_end(1, {"loss": loss})
    rate = 0.1 * (1 + math.cos(math.pi * 6 / (8 * STEPS))) / 2  # of the seventh step
    assert f"a learning rate of {rate:g}, at step 7; nothing was" in str(error.value)
    assert "`learning_rate`" in str(error.value)


class Saves:
    """A Checkpoints that remembers what it was asked to save."""

    def __init__(self, figures: list[float]) -> None:
        variables = [tf.Variable(figure) for figure in figures]
        self.classifier = SimpleNamespace(metric_variables=variables)
        self.saved: list[tuple[int, int, bool]] = []

    def save(self, step: int, epoch: int, is_best: bool) -> None:
        self.saved.append((step, epoch, is_best))


def saver(
    saves: Saves,
    history: list[EpochRecord] | None = None,
    start: Start = BEGINNING,
    minutes: float = 10.0,
    signals: StopSignals | None = None,
    agree: Callable[[bool, bool], tuple[bool, bool]] | None = None,
) -> StateSaver:
    stand_in: Any = saves
    return StateSaver(
        stand_in, history or [], start, minutes, signals or StopSignals(), agree
    )


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.5, 0.7, 0.6, 0.7, 0.8], [True, True, False, False, True]),
        ([0.9, 0.1], [True, False]),
    ],
)
def test_the_best_is_the_first_with_the_highest_validation_accuracy(
    scores: list[float], best: list[bool]
) -> None:
    history: list[EpochRecord] = [RECORD]
    saves = Saves([])
    made = saver(saves, history)
    history.clear()
    for epoch, score in enumerate(scores):
        # The training's accuracy must not matter.
        history.append(replace(RECORD, accuracy=-epoch, val_accuracy=score))
        made.on_epoch_end(epoch)
    assert saves.saved == [
        ((epoch + 1) * STEPS, epoch + 1, is_best) for epoch, is_best in enumerate(best)
    ]


def test_without_a_validation_there_is_no_best() -> None:
    history = [replace(RECORD, val_loss=None, val_accuracy=None)]
    saves = Saves([])
    saver(saves, history).on_epoch_end(0)
    assert saves.saved == [(STEPS, 1, False)]


@pytest.mark.parametrize(("patience", "last"), [(1, 3), (2, 6), (3, 7), (None, 8)])
def test_patience_ends_the_training_so_many_epochs_after_the_best(
    patience: int | None, last: int
) -> None:
    """As Keras's EarlyStopping counts; an equal accuracy is no better one."""
    history: list[EpochRecord] = []
    ours, theirs = EarlyStop(history, patience), None
    ours.model = SimpleNamespace(stop_training=False)
    if patience:
        theirs = keras.callbacks.EarlyStopping("val_accuracy", patience=patience)
        theirs.model = SimpleNamespace(stop_training=False)
        theirs.on_train_begin()
    for epoch, score in enumerate((0.5, 0.6, 0.6, 0.7, 0.7, 0.1, 0.2, 0.3)):
        record = replace(RECORD, epoch=epoch + 1, val_accuracy=score)
        history.append(record)
        ours.on_epoch_end(epoch)
        if theirs:
            theirs.on_epoch_end(epoch, {"val_accuracy": score})
            assert theirs.model.stop_training == ours.model.stop_training
        if ours.model.stop_training:
            break
    assert history[-1].epoch == last


def test_a_begun_epoch_goes_on_with_its_figures() -> None:
    saves = Saves([3.0, 4.0])
    made = saver(saves, start=Start(2, 1, STEPS))
    variables = saves.classifier.metric_variables
    for epoch, expected in ((2, [3.0, 4.0]), (3, [0.0, 0.0])):
        for variable in variables:
            variable.assign(0.0)  # as Keras does at the start of each
        made.on_epoch_begin(epoch)
        assert [float(variable) for variable in variables] == expected


@pytest.mark.parametrize(
    ("minutes", "saved"), [(1.0, [2, 5, 7]), (0.0, [1, 2, 3, 5, 6, 7]), (9.0, [])]
)
def test_a_state_every_so_many_minutes_but_not_at_an_epochs_end(
    minutes: float, saved: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 40 seconds; saving counts from the last time."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    saves = Saves([])
    made = saver(saves, minutes=minutes)
    for epoch in (0, 1):
        made.on_epoch_begin(epoch)
        for batch in range(STEPS):
            now[0] += 40.0
            made.on_train_batch_end(batch)
    assert [step for step, _, _ in saves.saved] == saved
    assert {epoch for _, epoch, _ in saves.saved} <= {0, 1}


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)],
)
def test_a_signal_saves_and_stops_at_the_next_step(
    number: int, raised: type[BaseException]
) -> None:
    saves, signals = Saves([]), StopSignals()
    made = saver(saves, signals=signals)
    made.on_epoch_begin(1)
    made.on_train_batch_end(0)
    assert saves.saved == []
    signals.received = number
    with pytest.raises(raised):
        made.on_train_batch_end(1)
    assert saves.saved == [(STEPS + 2, 1, False)]


def test_a_signal_at_an_epochs_last_step_waits_for_its_validation() -> None:
    saves, signals = Saves([]), StopSignals()
    made = saver(saves, [RECORD], signals=signals)
    made.on_epoch_begin(0)
    signals.received = signal.SIGTERM
    made.on_train_batch_end(STEPS - 1)
    assert saves.saved == []
    with pytest.raises(Terminated):
        made.on_epoch_end(0)
    assert saves.saved == [(STEPS, 1, True)]


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_workers_save_and_stop_when_any_of_them_wants_to(
    steps_per_execution: int,
) -> None:
    """This one wants nothing; another is due after 2 calls, and stops after 4."""
    heard: list[tuple[bool, bool]] = []

    def agree(save: bool, stop: bool) -> tuple[bool, bool]:
        heard.append((save, stop))
        return len(heard) == 2, len(heard) == 4

    saves = Saves([])
    start = Start(0, 0, 100)
    made = saver(saves, [RECORD], start, agree=agree)
    made.on_epoch_begin(0)
    with pytest.raises(Terminated):
        for batch in range(steps_per_execution - 1, 100, steps_per_execution):
            made.on_train_batch_end(batch)
    assert heard == [(False, False)] * 4
    steps = [number * steps_per_execution for number in (2, 4)]
    assert saves.saved == [(step, 0, False) for step in steps]


def test_workers_agree_at_an_epochs_end_too() -> None:
    saves = Saves([])
    made = saver(saves, [RECORD], agree=lambda *_: (False, True))
    with pytest.raises(Terminated):
        made.on_epoch_end(0)
    assert saves.saved == [(STEPS, 1, True)]


def test_progress_counts_the_runs_steps() -> None:
    progress = RecordedProgress()
    callback = ProgressCallback(progress, Start(2, 1, STEPS))
    for epoch, batches in ((2, STEPS - 1), (3, 2)):
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_end(batch, FIGURES)
    assert progress.steps == [10, 11, 12, 13, 14]
