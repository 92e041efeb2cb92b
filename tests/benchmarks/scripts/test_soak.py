"""The soak's judgement of made-up samples, and one short soak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.benchmarks.scripts.soak import Sample, check_growth
from alexnet.benchmarks.scripts.soak import soak as run_soak
from tests.conftest import slow, soak

STEADY = Sample(100 * 2**20, 20, 30, 1000.0)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (STEADY, []),
        (replace(STEADY, images_per_second=960.0), []),
        (replace(STEADY, resident_bytes=200 * 2**20), ["memory grew by 100 MiB"]),
        (replace(STEADY, threads=21), ["1 more threads"]),
        (replace(STEADY, files=32), ["2 more files"]),
        (replace(STEADY, images_per_second=900.0), ["1,000 images/s became 900"]),
    ],
)
def test_what_grows_or_slows_down_is_named(last: Sample, told: list[str]) -> None:
    assert check_growth([STEADY] * 12 + [last] * 4) == told


def test_what_happens_while_the_run_settles_does_not_count() -> None:
    filling = replace(STEADY, resident_bytes=2**20, threads=2, images_per_second=5e3)
    assert check_growth([filling] * 4 + [STEADY] * 12) == []


@pytest.mark.parametrize(
    ("bytes_an_epoch", "told"), [(50_000, []), (120_000, ["memory grew by 46 MiB"])]
)
def test_what_every_epoch_keeps_is_told_above_tensorflows_own(
    bytes_an_epoch: int, told: list[str]
) -> None:
    """Of 800 epochs 600 count; their first and last thirds are 400 epochs apart."""
    start = STEADY.resident_bytes
    samples = [
        replace(STEADY, resident_bytes=start + epoch * bytes_an_epoch)
        for epoch in range(800)
    ]
    assert check_growth(samples) == told


@pytest.mark.parametrize("reader", [slow("mmap"), soak("stream")])
def test_forty_epochs_leave_nothing_behind(tmp_path: Path, reader: str) -> None:
    samples = run_soak(tmp_path, 40, reader)
    assert len(samples) == 40
    # Speed is not judged here: tests run on busy machines.
    steady = [replace(sample, images_per_second=1.0) for sample in samples]
    assert check_growth(steady) == []
