"""Rounds: their medians, and ratios that a machine's drift leaves alone."""

from __future__ import annotations

import pytest

from alexnet.benchmarks.rounds import medians, ratios

# The machine is half as fast in the second round, and the loader stumbles in the third.
ROUNDS = [
    {"ours": 100.0, "limit": 125.0, "loader": 50.0},
    {"ours": 50.0, "limit": 62.5, "loader": 25.0},
    {"ours": 90.0, "limit": 112.5, "loader": 30.0},
]


def test_medians() -> None:
    assert medians(ROUNDS) == {"ours": 90.0, "limit": 112.5, "loader": 30.0}


def test_drift_that_hits_all_leaves_ratios_as_they_are() -> None:
    """The ratio of medians would be 3; those of the rounds are 2, 2 and 3."""
    found = ratios(ROUNDS, "ours")
    assert set(found) == {"limit", "loader"}
    assert found["limit"].ratio == pytest.approx(0.8)
    assert found["limit"].spread == pytest.approx(0, abs=1e-9)
    assert found["loader"].ratio == pytest.approx(2)
    assert found["loader"].spread == pytest.approx((3 - 2) / 2)
