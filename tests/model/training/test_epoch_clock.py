"""Accounts of an epoch's time, on clocks that tick when they are told to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from alexnet.model.training import epoch_clock, loop
from alexnet.model.training.epoch_clock import EpochClock, EpochTime
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.plan import plan_training
from alexnet.model.training.run import RunFolder
from alexnet.model.training.training import train
from tests.conftest import TINY_RUN, RecordedProgress


def set_clock(monkeypatch: pytest.MonkeyPatch, ticks: Iterator[float]) -> None:
    """Let every look at the clock show the next time."""
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr(epoch_clock, "time", clock)


def test_a_block_inside_another_has_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Made at 0; host until 1, steps until 3, saving until 6, steps until 10, host."""
    set_clock(monkeypatch, iter((0.0, 1.0, 3.0, 6.0, 10.0, 15.0, 16.0, 18.0)))
    clock = EpochClock()
    with clock.spent_on("step"):
        with clock.spent_on("saving"):
            pass
        clock.move_to_input(2.0)
    assert clock.read() == EpochTime(step=4.0, input=2.0, host=6.0, saving=3.0)
    clock.reset()
    assert clock.read() == EpochTime(host=2.0)


def test_an_error_ends_a_block_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, map(float, count()))
    clock = EpochClock()
    with pytest.raises(KeyError), clock.spent_on("validation"):
        raise KeyError
    assert clock.read() == EpochTime(host=2.0, validation=1.0)


@pytest.mark.slow
def test_every_second_of_an_epoch_is_on_an_account(
    train_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second passes at every look; an epoch ends when its state is saved."""
    began, ended = [], []

    class Watched(EpochClock):
        def reset(self) -> None:
            super().reset()
            began.append(self._since)

        def read(self) -> EpochTime:
            time = super().read()
            ended.append(self._since)
            return time

    set_clock(monkeypatch, map(float, count()))
    monkeypatch.setattr(loop, "EpochClock", Watched)
    run = RunFolder(tmp_path / "run")
    plan = plan_training(train_records, run, TINY_RUN)
    report = train(plan, set_up_hardware(plan.config.train), RecordedProgress())
    times = [record.time for record in report.history]
    epochs = zip(began, ended[1::2], strict=True)
    seconds = [end - begin for begin, end in epochs]
    assert [sum(astuple(time)) for time in times] == pytest.approx(seconds)
    for time in times:
        assert (time.validation, time.saving) == (1.0, 1.0)
        assert min(astuple(time)) > 0
    assert list(report.history) == run.load_history()
