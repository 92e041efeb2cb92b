"""Predictions against arithmetic on made-up limits, and what is never recommended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.benchmarks.input_pipeline.advice import Situation
from alexnet.benchmarks.input_pipeline.speedups import (
    DECODED_SHARE,
    MAPPED_SHARE,
    Speedup,
    predict_speedups,
)
from tests.benchmarks.conftest import SITUATION

JPEG, AT = SITUATION, 7_100.0
RAW, RAW_AT = replace(JPEG, storage="raw", num_bytes=200_704_000), 60_000.0
LIMITS = {"memory gather": 100_000.0, "jpeg decode": 8_000.0}
YUV420, MMAP = "`records build --storage yuv420`", "`fit --reader mmap`"


def test_planes_are_half_of_the_pixels_that_were_gathered() -> None:
    (found,) = predict_speedups(JPEG, LIMITS, AT)
    assert found.change == YUV420
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 200_000)
    assert found.times_the_disk == pytest.approx(98_304 / 18_000)


def test_pixels_of_planes_are_half_already() -> None:
    limits = {"memory gather": 200_000.0, "jpeg decode, planes": 9_000.0}
    (found,) = predict_speedups(replace(JPEG, decode="planes"), limits, AT)
    assert found.change == YUV420
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 200_000)


def test_from_raw_as_well() -> None:
    (found,) = predict_speedups(RAW, LIMITS, RAW_AT)
    assert found.change == YUV420
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 200_000)
    assert found.times_the_disk == pytest.approx(98_304 / 200_704)


def test_an_odd_side_has_no_planes_of_half_of_it() -> None:
    (found,) = predict_speedups(replace(JPEG, side=255), LIMITS, AT)
    assert found.change == "`records build --storage raw`"
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 100_000)


def test_originals_are_told_both_ways_the_best_first() -> None:
    original = replace(JPEG, storage="original")
    limits = {**LIMITS, "jpeg decode": 4_000.0, "jpeg decode, stored square": 9_000.0}
    best, other = predict_speedups(original, limits, 2_000.0)
    assert best.change == YUV420
    rate = DECODED_SHARE * 9_000
    assert other == Speedup("`records build --storage jpeg`", rate, None)


def test_streamed_pixels_could_be_mapped() -> None:
    streamed = replace(RAW, storage="yuv420", reader="stream")
    (found,) = predict_speedups(streamed, LIMITS, 9_000.0)
    assert found == Speedup(MMAP, MAPPED_SHARE * 100_000, None)


@pytest.mark.parametrize(
    ("now", "delivered"),
    [
        # As fast already, or nearly so.
        (JPEG, MAPPED_SHARE * 200_000 * 0.95),
        (RAW, MAPPED_SHARE * 200_000 * 1.2),
        (replace(RAW, storage="yuv420"), 100.0),
        # Too large for the memory that would have to hold it.
        (replace(JPEG, memory_bytes=98_000_000), AT),
        # They cannot be mapped, or lie on a network.
        (replace(RAW, storage="yuv420", reader="stream", suits_mmap=False), 100.0),
    ],
)
def test_no_clear_gain_is_no_prediction(now: Situation, delivered: float) -> None:
    assert predict_speedups(now, LIMITS, delivered) == ()


@pytest.mark.parametrize("gather", [100.0, 5_000.0, 40_000.0])
@pytest.mark.parametrize("now", [JPEG, RAW, replace(RAW, reader="stream")])
def test_nothing_slower_is_ever_recommended(now: Situation, gather: float) -> None:
    for found in predict_speedups(now, {**LIMITS, "memory gather": gather}, AT):
        assert found.images_per_second > AT
