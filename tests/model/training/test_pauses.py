"""Looks, saves and stops between steps, with stand-ins for what is around them."""

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

from alexnet.model.training import pauses as module
from alexnet.model.training.epoch_clock import EpochClock
from alexnet.model.training.history import EpochRecord, is_out_of_patience
from alexnet.model.training.learning_rate import LearningRate
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.multi_worker import Agreement, Wishes
from alexnet.model.training.pauses import Pauses
from alexnet.model.training.run import RunFolder
from alexnet.model.training.signals import StopSignals, Terminated
from alexnet.pipeline.errors import RunError
from tests.conftest import RecordedProgress

STEPS = 4
RECORD = EpochRecord(1, STEPS, 0.1, 0.5, 0.75, 0.6, 0.5, 1.0, 0.0, 1.0)
SOUND = Metrics(0.5, 0.75, 10**6, 0)
RATE = LearningRate("cosine", 0.1, 0, 8 * STEPS)


class Saves:
    """Checkpoints that remember what they were asked to save."""

    def __init__(self, metrics: Metrics = SOUND, folder: Path = Path("runs/x")) -> None:
        self.run = RunFolder(folder)
        self.looks = 0
        self.classifier = SimpleNamespace(
            metrics=SimpleNamespace(read=lambda: self.look(metrics)),
            optimizer=SimpleNamespace(learning_rate=RATE),
        )
        self.saved: list[tuple[int, int, bool]] = []

    def look(self, metrics: Metrics) -> Metrics:
        self.looks += 1
        return metrics

    def save(self, step: int, epoch: int, is_best: bool) -> None:
        self.saved.append((step, epoch, is_best))


def pauses(
    saves: Saves,
    steps_per_epoch: int = STEPS,
    minutes: float = 10.0,
    signals: StopSignals | None = None,
    agree: Agreement = lambda wishes: wishes._replace(steps=1),
    progress: RecordedProgress | None = None,
) -> Pauses:
    checkpoints: Any = saves
    return Pauses(
        checkpoints,
        steps_per_epoch,
        minutes,
        signals or StopSignals(),
        agree,
        progress or RecordedProgress(),
        EpochClock(),
    )


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e5])
def test_a_hopeless_loss_ends_the_run_and_its_step_is_told(
    tmp_path: Path, loss: float
) -> None:
    """Looked at after step 8, sound for two of the second epoch's four."""
    made = pauses(Saves(Metrics(loss, 0.5, 2, 0), tmp_path))
    with pytest.raises(RunError, match=f"the loss is {loss:g}, at a") as error:
        made.after_steps(8)
    rate = 0.1 * (1 + math.cos(math.pi * 6 / (8 * STEPS))) / 2  # of the seventh step
    assert f"a learning rate of {rate:g}, at step 7; nothing was" in str(error.value)


def test_the_device_is_waited_for_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step takes a tenth of a second, and a quarter passes between two looks."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.25)
    saves, progress = Saves(), RecordedProgress()
    made = pauses(saves, steps_per_epoch=8, progress=progress)
    waited = []
    for step in range(1, 9):
        now[0] += 0.1
        if made.after_steps(step):
            waited.append(step)
    assert waited == progress.steps == [1, 4, 7, 8]
    assert saves.looks == 4


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.5, 0.7, 0.6, 0.7, 0.8], [True, True, False, False, True]),
        ([0.9, 0.1], [True, False]),
        ([None], [False]),
    ],
)
def test_the_best_is_the_first_with_the_highest_validation_accuracy(
    scores: list[float | None], best: list[bool]
) -> None:
    history: list[EpochRecord] = []
    saves = Saves()
    made = pauses(saves)
    for epoch, score in enumerate(scores, 1):
        # The training's accuracy must not matter.
        record = replace(RECORD, epoch=epoch, step=epoch * STEPS, accuracy=-epoch)
        history.append(replace(record, val_accuracy=score))
        made.after_epoch(history)
    assert saves.saved == [
        (epoch * STEPS, epoch, is_best) for epoch, is_best in enumerate(best, 1)
    ]


@pytest.mark.parametrize(("patience", "last"), [(1, 3), (2, 6), (3, 7), (None, 8)])
def test_patience_ends_the_training_so_many_epochs_after_the_best(
    patience: int | None, last: int
) -> None:
    """As Keras's EarlyStopping counts; an equal accuracy is no better one."""
    theirs = keras.callbacks.EarlyStopping(
        "val_accuracy", patience=patience or 99, mode="max"
    )
    model = SimpleNamespace(stop_training=False)
    theirs.set_model(model)
    theirs.on_train_begin()
    history: list[EpochRecord] = []
    for epoch, score in enumerate((0.5, 0.6, 0.6, 0.7, 0.7, 0.1, 0.2, 0.3)):
        history.append(replace(RECORD, epoch=epoch + 1, val_accuracy=score))
        theirs.on_epoch_end(epoch, {"val_accuracy": score})
        assert is_out_of_patience(history, patience) == model.stop_training
        if model.stop_training:
            break
    assert history[-1].epoch == last


@pytest.mark.parametrize(
    ("minutes", "saved"), [(1.0, [2, 5, 7]), (0.0, [1, 2, 3, 5, 6, 7]), (9.0, [])]
)
def test_a_state_every_so_many_minutes_but_not_at_an_epochs_end(
    minutes: float, saved: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 40 seconds; saving counts from the last time."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    saves = Saves()
    made = pauses(saves, minutes=minutes)
    for step in range(1, 2 * STEPS + 1):
        now[0] += 40.0
        made.after_steps(step)
    assert saves.saved == [(step, step // STEPS, False) for step in saved]


@pytest.mark.parametrize(
    ("number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)],
)
def test_a_signal_saves_and_stops_at_the_next_step(
    number: int, raised: type[BaseException]
) -> None:
    saves, signals = Saves(), StopSignals()
    made = pauses(saves, signals=signals)
    made.after_steps(STEPS + 1)
    assert saves.saved == []
    signals.received = number
    with pytest.raises(raised):
        made.after_steps(STEPS + 2)
    assert saves.saved == [(STEPS + 2, 1, False)]


def test_a_worker_leaves_once_all_are_past_the_saving() -> None:
    """Whoever ends first may have the others stopped, the chief in mid-state."""
    saves, signals, heard = Saves(), StopSignals(), []

    def agree(wishes: Wishes) -> Wishes:
        heard.append((wishes, len(saves.saved)))
        return wishes

    signals.received = signal.SIGTERM
    with pytest.raises(Terminated):
        pauses(saves, signals=signals, agree=agree).after_steps(2)
    assert [saved for _, saved in heard] == [0, 1, 1]


@pytest.mark.parametrize("at_epochs_end", [False, True])
def test_a_worker_that_ends_first_takes_no_other_with_it(at_epochs_end: bool) -> None:
    """It has had what all agreed on last; the others may still be fetching it."""
    saves, answered = Saves(), [Wishes(stop=True)] * (1 if at_epochs_end else 2)

    def agree(_: Wishes) -> Wishes:
        if not answered:
            raise tf.errors.UnavailableError(None, None, "Socket closed")
        return answered.pop()

    made = pauses(saves, agree=agree)
    with pytest.raises(Terminated):
        if at_epochs_end:
            made.after_epoch([RECORD])
        else:
            made.after_steps(2)
    assert not answered
    assert len(saves.saved) == 1


def test_a_signal_at_an_epochs_last_step_waits_for_its_validation() -> None:
    saves, signals = Saves(), StopSignals()
    made = pauses(saves, signals=signals)
    signals.received = signal.SIGTERM
    made.after_steps(STEPS)
    assert saves.saved == []
    with pytest.raises(Terminated):
        made.after_epoch([RECORD])
    assert saves.saved == [(STEPS, 1, True)]


def heard_by(answers: Callable[[int], Wishes], heard: list[Wishes]) -> Agreement:
    def agree(wishes: Wishes) -> Wishes:
        heard.append(wishes)
        return answers(len(heard))

    return agree


@pytest.mark.parametrize("steps_at_once", [1, 3])
def test_workers_save_and_stop_when_any_of_them_wants_to(steps_at_once: int) -> None:
    """This one wants a look; another is due after 2 calls, and stops after 4."""
    heard: list[Wishes] = []
    saves = Saves()
    agree = heard_by(lambda n: Wishes(save=n == 2, stop=n == 4), heard)
    made = pauses(saves, 100, agree=agree)
    with pytest.raises(Terminated):
        for step in range(steps_at_once, 100, steps_at_once):
            made.after_steps(step)
    assert not any(wishes.save or wishes.stop for wishes in heard)
    steps = [number * steps_at_once for number in (2, 4)]
    assert saves.saved == [(step, 0, False) for step in steps]


def test_workers_ask_each_other_as_often_as_they_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps of 1/16 s, and a quarter between two looks; the first was compiled."""
    now, asked = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.25)

    def agree(wishes: Wishes) -> Wishes:
        asked.append(now[0])
        return wishes._replace(steps=max(1, round(wishes.steps)))

    saves = Saves()
    made = pauses(saves, steps_per_epoch=100, agree=agree)
    for step in range(1, 20):
        now[0] += 1 / 16
        made.after_steps(step)
    assert [16 * seconds for seconds in asked] == [1, 2, 6, 10, 14, 18]
    assert saves.looks == 5


def test_workers_agree_at_an_epochs_end_too() -> None:
    saves = Saves()
    made = pauses(saves, agree=lambda _: Wishes(stop=True))
    with pytest.raises(Terminated):
        made.after_epoch([RECORD])
    assert saves.saved == [(STEPS, 1, True)]
