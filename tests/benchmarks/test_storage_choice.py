"""The choice of a storage, from estimates that are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alexnet.benchmarks.storage_choice import Estimate, advise, choose
from alexnet.pipeline.config import StorageName

PLAIN = Estimate(
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


def made_up(**changes: dict[str, Any]) -> dict[StorageName, Estimate]:
    """Estimates by name, from what is different about each."""
    found: Any = {name: replace(PLAIN, **change) for name, change in changes.items()}
    return found


SLOW_SMALL = {"bytes": 10, "images_per_second": 20.0}
FAST_LARGE = {"bytes": 1000, "images_per_second": 900.0}


@pytest.mark.parametrize(
    ("estimates", "chosen"),
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
    estimates: dict[StorageName, Estimate], chosen: StorageName | None
) -> None:
    assert choose(estimates) == chosen


def test_advice_for_a_step_that_is_fed() -> None:
    estimates = made_up(
        jpeg={"bytes": 2**20, "images_per_second": 5300.0, "fed": True}, raw=FAST_LARGE
    )
    assert advise(estimates, 2500, 2**30) == (
        "`records build --storage jpeg` is the smallest that feeds the train step"
        " (2,500 images/s) with 20% to spare: 5,300 images/s from 1.0 MiB."
    )


def test_advice_for_a_step_that_waits() -> None:
    told = advise(made_up(raw={**FAST_LARGE, "fed": False}), 4000, 2**30)
    assert "No storage that fits feeds the train step (4,000 images/s)" in told
    assert "`records build --storage raw` is the fastest: 900 images/s" in told
    assert "--side" in told


def test_advice_without_a_demand_says_how_to_name_one() -> None:
    told = advise(made_up(raw=FAST_LARGE, jpeg={}), None, 2**30)
    assert "`records build --storage raw` is the fastest that fits: 900" in told
    assert "--train-images-per-second" in told


@pytest.mark.parametrize("in_memory", [True, False])
def test_records_larger_than_memory_are_told(in_memory: bool) -> None:
    told = advise(made_up(raw={"in_memory": in_memory}), None, 2**30)
    assert ("the disk's speed, with `alexnet fit --reader stream`" in told) != in_memory


def test_nothing_is_advised_that_does_not_fit() -> None:
    estimates = made_up(
        raw={**FAST_LARGE, "fits_disk": False}, jpeg={"fits_disk": False}
    )
    told = advise(estimates, 10, 50)
    assert "even `jpeg` takes 100 bytes, and 50 bytes are free" in told
    assert "--storage" not in told
