"""What is made of a trial's numbers, against arithmetic on made-up ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alexnet.benchmarks.estimate.forecast import (
    Forecast,
    advise,
    choose,
    extrapolate,
    feeds,
    pace,
)
from alexnet.pipeline.config import StorageName

PLAIN = Forecast(
    bytes=100,
    bytes_error=0,
    bytes_per_image=1.0,
    images_per_second=50.0,
    spread=0.1,
    build_seconds=1.0,
    in_memory=True,
    fits_disk=True,
    fed=None,
)


def test_the_mean_stands_for_all() -> None:
    """NumPy's standard error of a mean, times 100, for a sample of 4 without return."""
    found = [10, 14, 18, 30]
    size = extrapolate([0] * 4, found, 0, 100)
    assert size.num_bytes == 100 * 18
    expected = 100 * np.std(found, ddof=1) / 2 * np.sqrt(0.96)
    assert size.error_bytes == pytest.approx(expected)


def test_the_standard_error_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    population = rng.lognormal(9, 0.5, 200).astype(int)
    samples = [rng.choice(population, 50, replace=False) for _ in range(2000)]
    sizes = [extrapolate([0] * 50, found.tolist(), 0, 200) for found in samples]
    totals = [size.num_bytes for size in sizes]
    assert np.mean(totals) == pytest.approx(population.sum(), rel=0.01)
    told = np.mean([size.error_bytes for size in sizes])
    assert told == pytest.approx(np.std(totals), rel=0.05)


def test_what_is_known_is_counted_exactly() -> None:
    """Files of 5 and 900 bytes were built, with 20 bytes around each."""
    assert extrapolate([5, 900], [25, 920], 5000, 10) == (5000 + 10 * 20, 0)


@pytest.mark.parametrize("found", [[7], [7, 9, 20]])
def test_a_sample_of_all_is_no_estimate(found: list[int]) -> None:
    assert extrapolate([0] * len(found), found, 0, len(found)) == (sum(found), 0)


def test_a_pace_is_what_comes_after_the_start() -> None:
    """2 s until the workers are up, a burst of 3 that waited, then 10 a second."""
    times = [0.0, 2.0, 2.0, 2.3, *(2.3 + 0.1 * n for n in range(1, 8))]
    found = pace(times, skip=3, speed_up=1)
    assert found == pytest.approx((2.0, 10.0))
    assert found.seconds(1000) == pytest.approx(102.0)
    assert pace(times, skip=3, speed_up=4) == pytest.approx((2.0, 40.0))


def test_no_build_starts_before_it_is_asked_to() -> None:
    """A first image that comes at once and slow ones after it."""
    assert pace([0.0, 0.1, 1.1, 2.1], skip=1, speed_up=1) == pytest.approx((0, 1))


@pytest.mark.parametrize(
    ("demand", "fed"), [(None, None), (100.0, True), (100.1, False)]
)
def test_a_fifth_is_to_spare(demand: float | None, fed: bool | None) -> None:
    assert feeds(120.0, demand) is fed


def made_up(**changes: dict[str, Any]) -> dict[StorageName, Forecast]:
    """Forecasts by name, from what is different about each."""
    found: Any = {name: replace(PLAIN, **change) for name, change in changes.items()}
    return found


SLOW_SMALL = {"bytes": 10, "images_per_second": 20.0}
FAST_LARGE = {"bytes": 1000, "images_per_second": 900.0}


@pytest.mark.parametrize(
    ("forecasts", "chosen"),
    [
        (made_up(original=SLOW_SMALL, jpeg={}, raw=FAST_LARGE), "raw"),
        (
            made_up(
                original={**SLOW_SMALL, "fed": False},
                jpeg={"fed": True},
                raw={**FAST_LARGE, "fed": True},
            ),
            "jpeg",
        ),
        (
            made_up(
                original={**SLOW_SMALL, "fed": False},
                jpeg={"fed": False},
                raw={**FAST_LARGE, "fed": True, "fits_disk": False},
            ),
            "jpeg",
        ),
        (made_up(jpeg={"fed": True, "fits_disk": False}, raw={"fed": False}), "raw"),
        (made_up(jpeg={"fits_disk": False}), None),
    ],
    ids=["fastest", "smallest fed", "fed but too large", "slow but fits", "none fits"],
)
def test_the_choice(
    forecasts: dict[StorageName, Forecast], chosen: StorageName | None
) -> None:
    assert choose(forecasts) == chosen


def test_advice_for_a_step_that_is_fed() -> None:
    forecasts = made_up(
        jpeg={"bytes": 2**20, "images_per_second": 5300.0, "fed": True}, raw=FAST_LARGE
    )
    assert advise(forecasts, 2500, 2**30) == (
        "`records build --storage jpeg` is the smallest that feeds the train step"
        " (2,500 images/s) with 20% to spare: 5,300 images/s from 1.0 MiB."
    )


def test_advice_for_a_step_that_waits() -> None:
    told = advise(made_up(raw={**FAST_LARGE, "fed": False}), 4000, 2**30)
    assert "No storage that fits feeds the train step (4,000 images/s)" in told
    assert (
        "`records build --storage raw` is the fastest: 900 images/s from 1000 bytes"
        in told
    )
    assert "--side" in told


def test_advice_without_a_demand_says_how_to_name_one() -> None:
    told = advise(made_up(raw=FAST_LARGE, jpeg={}), None, 2**30)
    assert (
        "`records build --storage raw` is the fastest that fits: 900 images/s" in told
    )
    assert "--train-images-per-second" in told


@pytest.mark.parametrize("in_memory", [True, False])
def test_records_larger_than_memory_are_told(in_memory: bool) -> None:
    told = advise(made_up(raw={"in_memory": in_memory}), None, 2**30)
    assert ("the disk's speed, with `alexnet fit --reader stream`" in told) != in_memory


def test_nothing_is_advised_that_does_not_fit() -> None:
    forecasts = made_up(
        raw={**FAST_LARGE, "fits_disk": False}, jpeg={"fits_disk": False}
    )
    told = advise(forecasts, 10, 50)
    assert "even `jpeg` takes 100 bytes, and 50 bytes are free" in told
    assert "--storage" not in told
