"""The pace by a clock that the test moves."""

from __future__ import annotations

import time

import pytest

from alexnet.pipeline.pace import Pace


def test_rates_count_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    pace = Pace("images")
    assert pace.describe(0, 1) == "0 of 1 image"
    pace.start(500)
    assert pace.describe_rate(500) == ""
    monkeypatch.setattr(time, "monotonic", lambda: 1025.0)
    # 100 in 25 s are 4 a second; 400 are left.
    assert pace.describe(600, 1000) == "600 of 1,000 images, 4.0 images/s, 100 s left"
