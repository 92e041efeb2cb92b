"""Trials as they are drawn and given out."""

from __future__ import annotations

from typing import Any

import pytest

from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.sweep.space import Choices, Range
from alexnet.model.sweep.study import open_study, release, take_trial
from tests.model.sweep.conftest import MakePlan

pytest.importorskip("optuna")

SPACE = {
    "learning_rate": Range(0.001, 0.1, log=True),
    "epochs": Range(5, 20),
    "optimizer": Choices(("sgd", "adam")),
}


def take(plan: SweepPlan, most: int = 99) -> list[tuple[int, dict[str, Any]]]:
    """Numbers and values of the next trials, whose locks stay with this process."""
    plan.save()
    study = open_study(plan)
    taken: list[tuple[int, dict[str, Any]]] = []
    while len(taken) < most and (found := take_trial(study, plan)):
        trial, lock = found
        LOCKS.append(lock)
        taken.append((trial.number, trial.user_attrs["values"]))
    return taken


LOCKS: list[Any] = []


def test_draws_are_of_the_seed_and_the_trials_number(make_plan: MakePlan) -> None:
    """Whoever draws them: another process goes on as this one would have."""
    plan = make_plan(SPACE, sampler="random", trials=12)
    parts = [*take(plan, 5), *take(plan)]
    assert [number for number, _ in parts] == list(range(12))
    (plan.folder / "journal.log").unlink()
    _unlock()
    assert take(plan) == parts
    values = [value for _, value in parts]
    assert len({value["learning_rate"] for value in values}) == 12
    assert {value["optimizer"] for value in values} == {"sgd", "adam"}
    for value in values:
        assert 0.001 <= value["learning_rate"] <= 0.1
        assert isinstance(value["epochs"], int) and 5 <= value["epochs"] <= 20
        assert float(f"{value['learning_rate']:.4g}") == value["learning_rate"]
    # Even over magnitudes: half of them below the geometric mean.
    assert 2 <= sum(value["learning_rate"] < 0.01 for value in values) <= 10


def _unlock() -> None:
    while LOCKS:
        release(LOCKS.pop())


def test_a_trial_is_given_out_once_and_again_when_nobody_has_it(
    make_plan: MakePlan,
) -> None:
    plan = make_plan({"seed": Choices((7, 8))}, trials=2, is_grid=True)
    assert take(plan) == [(0, {"seed": 7}), (1, {"seed": 8})]
    assert take(plan) == []
    _unlock()
    assert take(plan) == [(0, {"seed": 7}), (1, {"seed": 8})]
    _unlock()


def test_a_sweep_grows(make_plan: MakePlan) -> None:
    space = {"learning_rate": Range(0.1, 0.9)}
    first = take(make_plan(space, trials=2))
    assert [number for number, _ in first] == [0, 1]
    assert [number for number, _ in take(make_plan(space, trials=3))] == [2]
    _unlock()
