"""First epochs by a clock that the deliveries turn, and what they do with files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alexnet.benchmarks.input_pipeline import first_epoch as module
from alexnet.benchmarks.input_pipeline.first_epoch import (
    time_first_epoch,
    time_first_epochs,
)
from alexnet.benchmarks.measure import Deliveries


class Clock:
    """Seconds that pass only when told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def slow_start(clock: Clock) -> Deliveries:
    """10 images after 3 seconds, then 10 a second."""
    clock.seconds += 2
    while True:
        clock.seconds += 1
        yield 10


@pytest.mark.parametrize(
    ("num_images", "seconds", "images", "rate"),
    [
        (40, 100.0, 40, 40 / 6),  # the epoch's end
        (35, 100.0, 40, 40 / 6),
        (1000, 4.5, 30, 30 / 5),  # the first batch after the time is over
        (1000, 1.0, 10, 10 / 3),
    ],
)
def test_an_epoch_is_timed_from_its_start(
    num_images: int, seconds: float, images: float, rate: float
) -> None:
    clock = Clock()
    found = time_first_epoch(slow_start(clock), num_images, seconds, clock)
    assert found.num_images == images
    assert found.first_batch_seconds == 3
    assert found.images_per_second == pytest.approx(rate)


@pytest.mark.parametrize(("left", "is_cold"), [(0.0, True), (0.9, False)])
def test_the_cold_epoch_comes_between_eviction_and_the_warm_one(
    monkeypatch: pytest.MonkeyPatch, left: float, is_cold: bool, tmp_path: Path
) -> None:
    events: list[Any] = []

    def start() -> Deliveries:
        images = 0
        try:
            while True:
                images += 4
                yield 4
        finally:
            events.append(images)

    def evict(paths: list[str]) -> float:
        events.append(paths)
        return left

    monkeypatch.setattr(module, "evict", evict)
    found = time_first_epochs(start, ["shard"], 12, seconds=100.0)
    # One batch to warm up, then both epochs, over the same images.
    assert events == [4, ["shard"], 12, 12]
    assert (found.cold is not None) == is_cold
    assert found.left == left
    assert found.warm.num_images == 12
