"""The diagnosis on made-up ladders whose answer is known."""

from __future__ import annotations

import pytest

from benchmarks.diagnosis import advice, bottleneck
from benchmarks.ladder import Rung

LIMITS = {"disk read": 400_000.0, "memory copy": 100_000.0, "jpeg decode": 10_000.0}


def ladder(**images_per_second: float) -> list[Rung]:
    return [
        Rung(stage.replace("_", " "), rate, 0.02)
        for stage, rate in images_per_second.items()
    ]


HOST = {"read": 80_000, "shuffle": 60_000, "parse": 16_000}
DECODE_BOUND = ladder(**HOST, decode=5_000, batch=4_900, prefetch=5_000)


@pytest.mark.parametrize(
    ("rungs", "stage"),
    [
        (DECODE_BOUND, "decode"),
        (ladder(read=900, shuffle=890, parse=880, decode=700, prefetch=700), "read"),
        (ladder(read=9_000, shuffle=1_000, parse=990, prefetch=990), "shuffle"),
        # What prefetching hides is not charged to the batches it hides.
        (ladder(read=9_000, decode=4_000, batch=2_000, prefetch=3_900), "decode"),
        ([*DECODE_BOUND, *ladder(augment=4_900, train_step=4_800)], "decode"),
        ([*DECODE_BOUND, *ladder(augment=4_900, train_step=500)], "train step"),
        ([*DECODE_BOUND, *ladder(augment=600, train_step=500)], "augment"),
        ([*DECODE_BOUND, *ladder(to_device=1_000, augment=990)], "to device"),
    ],
)
def test_bottleneck(rungs: list[Rung], stage: str) -> None:
    assert bottleneck(rungs) == stage


def test_decode_bound() -> None:
    """1e6/5000 - 1e6/16000 is 137.5 of 200 microseconds; half of libjpeg's 10 000."""
    words = advice(DECODE_BOUND, LIMITS, {}, "jpeg")
    assert "`decode` costs most: 138 of 200 microseconds" in words
    assert "5,000 images/s" in words
    assert "10,000 images/s here; this is 50% of it" in words
    assert "--storage raw" in words
    assert "--storage jpeg" in advice(DECODE_BOUND, LIMITS, {}, "original")


def test_read_bound_by_the_disk() -> None:
    rungs = ladder(read=900, shuffle=890, parse=880, decode=880, prefetch=880)
    limits = {"disk read": 1_000.0, "memory copy": 100_000.0}
    words = advice(rungs, limits, {}, "raw")
    assert "90% of what the disk gives (1,000 images/s)" in words
    assert "faster disk" in words
    assert "--storage jpeg" in words
    assert "--storage jpeg" not in advice(rungs, limits, {}, "jpeg")


def test_read_bound_though_the_disk_is_fast() -> None:
    rungs = ladder(read=900, shuffle=890, parse=880, decode=880, prefetch=880)
    words = advice(rungs, LIMITS, {}, "raw")
    assert "0% of what the disk gives" in words
    assert "--shards" in words
    assert "faster disk" not in words


def test_step_bound() -> None:
    rungs = [*DECODE_BOUND, *ladder(augment=4_900, train_step=500)]
    words = advice(rungs, LIMITS, {}, "jpeg")
    assert words.startswith("`train step` limits: with it 500 images/s")
    assert "5,000 images/s, 10.0 times as many" in words
    assert "--mixed-precision" in words
    assert "--storage raw" not in words


def test_memory_bound() -> None:
    rungs = ladder(read=90_000, parse=80_000, decode=70_000, batch=60_000)
    words = advice(rungs, LIMITS, {}, "raw")
    assert "60% of what the memory can copy (100,000 images/s)" in words
    assert "--storage" not in words


@pytest.mark.parametrize("stage", ["shuffle", "parse", "batch", "prefetch"])
def test_every_host_stage_has_its_advice(stage: str) -> None:
    names = ["read", "shuffle", "parse", "decode", "batch", "prefetch"]
    rates = [9_000 if n < names.index(stage) else 500 for n in range(len(names))]
    rungs = ladder(**dict(zip(names, rates, strict=True)))
    words = advice(rungs, LIMITS, {}, "jpeg")
    assert f"`{stage}` costs most" in words
    assert len(words.split(". ")) == 2


def test_against_is_told_with_and_without_augmentation() -> None:
    rungs = [*DECODE_BOUND, *ladder(augment=2_000)]
    words = advice(rungs, LIMITS, {"article": 200.0}, "jpeg")
    assert "article's generator makes 200 images/s" in words
    assert "25.0 times as many, 10.0 times with augmentation" in words
