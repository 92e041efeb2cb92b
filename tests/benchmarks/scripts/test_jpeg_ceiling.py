"""The ceiling by arithmetic, and once from real records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.benchmarks.scripts import jpeg_ceiling
from alexnet.benchmarks.scripts.jpeg_ceiling import (
    Ceiling,
    build_sets,
    find_ceiling,
    intercept,
    microseconds_an_image,
)


def test_the_intercept_is_that_of_least_squares() -> None:
    pixels, times = [64, 256, 1024, 4096], [31.0, 30.0, 36.0, 52.0]
    expected = np.polyfit(pixels, times, 1)[1]
    assert intercept(pixels, times) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one_cpu", "all_cpus", "ceiling"),
    [
        # 10 under the lock and 20 beside it, which two share.
        (30.0, 20.0, Ceiling(2, 30.0, 20.0, 10.0, 100_000.0)),
        # No faster on two: all of it is under the lock.
        (30.0, 30.0, Ceiling(2, 30.0, 30.0, 30.0, 1e6 / 30)),
        (30.0, 14.0, Ceiling(2, 30.0, 14.0, 0.0, float("inf"))),
    ],
)
def test_the_lock_is_what_more_cpus_do_not_shorten(
    one_cpu: float, all_cpus: float, ceiling: Ceiling
) -> None:
    assert find_ceiling(one_cpu, all_cpus, 2) == ceiling


@pytest.mark.slow
def test_tiny_records_are_read_on_one_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg_ceiling, "SIDES", (8, 16))
    sets = build_sets(tmp_path, 256)
    assert microseconds_an_image(sets, 1, 0.2) > 0
