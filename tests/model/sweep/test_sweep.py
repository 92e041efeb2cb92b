"""Sweeps from end to end: grids, failures, pruning, kills, and several at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from alexnet.model.sweep.plan import SweepPlan, load_plan
from alexnet.model.sweep.plots import plot_sweep
from alexnet.model.sweep.progress import SweepProgress
from alexnet.model.sweep.report import SweepReport, TrialReport
from alexnet.model.sweep.space import Choices, Range
from alexnet.model.sweep.sweep import gpu_of_each_job, run_sweep
from tests.conftest import picture_size, slow
from tests.model.sweep.conftest import MakePlan
from tests.model.sweep.stand_in import FAILING, PAUSE, SLOW, accuracy

pytest.importorskip("optuna")

GRID = {"learning_rate": Choices((0.3, 0.1, 0.2)), "seed": Choices((1, 2))}


def run(plan: SweepPlan, jobs: int = 1) -> SweepReport:
    return run_sweep(plan, jobs, SweepProgress())


class Heard(SweepProgress):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.all: list[tuple[int, ...]] = []

    def ended(self, trial: TrialReport, num_ended: int, num_trials: int) -> None:
        self.all.append((trial.number, num_ended, num_trials))

    def waiting(self, num_trials: int) -> None:
        self.all.append((num_trials,))


def starts(trial: TrialReport) -> list[Any]:
    """Of each time its process was started: whether resumed, and on which GPU."""
    lines = (trial.run / "starts").read_text().splitlines()
    return [json.loads(line) for line in lines]


def await_true(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_grid_is_every_combination_once(make_plan: MakePlan) -> None:
    plan = make_plan(GRID, trials=6, is_grid=True)
    heard = Heard()
    report = run_sweep(plan, 2, heard)
    rates = [0.3, 0.3, 0.1, 0.1, 0.2, 0.2]
    values = [{"learning_rate": x, "seed": 1 + n % 2} for n, x in enumerate(rates)]
    assert [trial.values for trial in report.trials] == values
    assert [trial.accuracy for trial in report.trials] == [1 - x for x in rates]
    assert {trial.state for trial in report.trials} == {"complete"}
    assert [starts(trial) for trial in report.trials] == [[[False, None]]] * 6
    assert sorted(number for number, *_ in heard.all) == list(range(6))
    assert heard.all[-1][1:] == (6, 6)
    assert report.best and report.best.number == 2
    assert report.best_command == ("alexnet fit gone --learning-rate 0.1 --seed 1")
    assert [trial.number for trial in report.ranked] == [2, 3, 4, 5, 0, 1]
    plot_sweep(report)
    width, height = picture_size(plan.picture_path)
    assert width > 2 * height
    assert not list(plan.folder.glob("**/*.lock"))


def test_the_json(make_plan: MakePlan) -> None:
    plan = make_plan({"learning_rate": Choices((0.2,))}, trials=1, is_grid=True)
    trial = {
        "number": 0,
        "run": str(plan.folder / "trials" / "0000"),
        "values": {"learning_rate": 0.2},
        "validation": {"epoch": 2, "loss": 0.6, "accuracy": 0.8},
        "state": "complete",
    }
    command = "alexnet fit gone --learning-rate 0.2"
    assert run(plan).to_json() == {
        "sweep": str(plan.folder),
        "trials": [trial],
        "best": {**trial, "command": command},
    }


def test_a_failed_trial_is_recorded_and_passed_over(make_plan: MakePlan) -> None:
    rates = Choices((FAILING, 0.1))
    plan = make_plan({"learning_rate": rates}, trials=2, is_grid=True)
    failed, complete = run(plan).trials
    assert (failed.state, failed.error) == ("failed", "the loss has diverged")
    assert (failed.accuracy, complete.accuracy) == (None, 0.9)
    assert run(plan).to_json()["trials"][0]["error"] == "the loss has diverged"
    assert len(starts(failed)) == 1  # not even when the sweep is run again


def test_without_a_trial_to_its_end_there_is_no_best(make_plan: MakePlan) -> None:
    plan = make_plan({"learning_rate": Choices((FAILING,))}, trials=1, is_grid=True)
    report = run(plan)
    assert (report.best, report.best_command) == (None, None)
    plot_sweep(report)


@pytest.mark.parametrize(
    ("prune", "rate", "state"), [(True, SLOW, "pruned"), slow(False, 0.7, "complete")]
)
def test_a_trial_that_falls_behind_is_pruned(
    make_plan: MakePlan, prune: bool, rate: float, state: str
) -> None:
    """Five good ones first; the others would wait for a minute half-way."""
    space = {"learning_rate": Choices((0.1, rate)), "seed": Choices((1, 2, 3, 4, 5))}
    settings = {"epochs": 10}
    plan = make_plan(space, settings=settings, trials=10, is_grid=True, prune=prune)
    report = run(plan)
    assert [trial.state for trial in report.trials] == ["complete"] * 5 + [state] * 5
    # Nobody is judged before three tenths of the way, nor goes beyond the wait.
    epochs = {len(trial.history) for trial in report.trials[5:]}
    assert epochs <= ({3, 4, 5} if prune else {10})
    for trial in report.trials:
        assert trial.accuracy == accuracy(
            trial.values["learning_rate"], len(trial.history), 10
        )


@pytest.mark.parametrize("number", [slow(signal.SIGINT), signal.SIGTERM])
def test_an_interrupted_sweep_is_resumed(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The trial that was running goes on; those that had ended are left alone."""
    monkeypatch.setenv(PAUSE, "0.2")
    rates = Choices((0.1, 0.2))
    settings = {"epochs": 3}
    plan = make_plan(
        {"learning_rate": rates}, settings=settings, trials=2, is_grid=True
    )
    second = plan.run_path(1) / "history.csv"

    def interrupt() -> None:
        await_true(second.exists)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(plan)
    thread.join()
    report = run(load_plan(plan.folder))
    assert [trial.accuracy for trial in report.trials] == pytest.approx([0.9, 0.8])
    found = [starts(trial) for trial in report.trials]
    assert found == [[[False, None]], [[False, None], [True, None]]]


SWEEP = """
import sys, pathlib
from tests.model.sweep import stand_in
from alexnet.model.sweep import sweep, trial_process
from alexnet.model.sweep.plan import load_plan
from alexnet.model.sweep.progress import SweepProgress
trial_process.FIT = (sys.executable, stand_in.__file__)
sweep.POLL_SECONDS = 0.02
sweep.run_sweep(load_plan(pathlib.Path(sys.argv[1])), 1, SweepProgress())
"""


def start_elsewhere(plan: SweepPlan) -> subprocess.Popen[bytes]:
    """A process that goes on with the sweep, as another machine would."""
    plan.save()
    return subprocess.Popen([sys.executable, "-c", SWEEP, str(plan.folder)])


def test_a_killed_sweep_is_resumed_while_its_trial_still_runs(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing trains in a run folder where an orphan does; then it is taken over."""
    monkeypatch.setenv(PAUSE, "0.3")
    rates = Choices((0.1, 0.2))
    plan = make_plan({"learning_rate": rates}, trials=2, is_grid=True)
    heard = Heard()
    elsewhere = start_elsewhere(plan)
    await_true((plan.run_path(0) / "config.json").exists)
    elsewhere.kill()
    elsewhere.wait()
    report = run_sweep(plan, 2, heard)
    assert [trial.accuracy for trial in report.trials] == [0.9, 0.8]
    # By the time that it was free the first run was whole, which a start has found.
    assert starts(report.trials[0]) == [[False, None], [True, None]]
    assert starts(report.trials[1]) == [[False, None]]
    assert sorted(number for number, *rest in heard.all if rest) == [0, 1]


@pytest.mark.slow
def test_several_machines_share_a_sweep(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PAUSE, "0.1")
    plan = make_plan({"learning_rate": Range(0.01, 0.3)}, trials=8)
    elsewhere = start_elsewhere(plan)
    await_true((plan.run_path(0) / "starts").exists)
    report = run(plan)
    assert elsewhere.wait() == 0
    assert {trial.state for trial in report.trials} == {"complete"}
    assert [starts(trial) for trial in report.trials] == [[[False, None]]] * 8


@pytest.mark.parametrize(
    ("visible", "jobs", "gpus"),
    [
        ("0,1", 2, ["0", "1"]),
        ("GPU-a, GPU-b", 3, ["GPU-a", "GPU-b", "GPU-a"]),
        ("0,1", 1, [None]),
        ("", 2, [None, None]),
    ],
)
def test_jobs_get_a_gpu_each(
    visible: str,
    jobs: int,
    gpus: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_of_each_job(jobs) == gpus


def test_a_trial_sees_the_gpu_of_its_job(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    rates = Choices((0.1, 0.2))
    plan = make_plan({"learning_rate": rates}, trials=2, is_grid=True)
    assert [starts(x) for x in run(plan, 2).trials] == [[[False, "3"]], [[False, "5"]]]
