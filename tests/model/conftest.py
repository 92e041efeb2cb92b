"""Trainings that are looked at after every step, so that tests see each of them."""

from __future__ import annotations

import pytest

from alexnet.model.training import pauses


@pytest.fixture(autouse=True)
def look_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "LOOK_SECONDS", 0.0)
