"""Sweeps whose trials are a stand-in's, so that each takes a moment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alexnet.model.sweep import sweep, trial_process
from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.sweep.space import Space
from tests.model.sweep import stand_in

MakePlan = Callable[..., SweepPlan]


@pytest.fixture(autouse=True)
def stand_in_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are a stand-in's, and looked at often."""
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(trial_process, "FIT", (sys.executable, stand_in.__file__))
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.02)


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """A maker of plans in the test's folder, of records that nobody reads."""

    def make(space: Space, **settings: Any) -> SweepPlan:
        details: dict[str, Any] = {"settings": {}, "trials": 4, **settings}
        return SweepPlan(folder=tmp_path / "sweep", data="gone", space=space, **details)

    return make
