"""Predictions against arithmetic on made-up limits, and what is never recommended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.prediction import (
    DECODED_SHARE,
    MAPPED_SHARE,
    Prediction,
    Situation,
    predictions,
)

# 1000 images of 256 px: 18 kB each as JPEG, 98 304 bytes as planes.
JPEG = Situation(
    storage="jpeg",
    reader="mmap",
    side=256,
    num_images=1000,
    num_bytes=18_000_000,
    memory_bytes=10**9,
    images_per_second=7_100.0,
)
RAW = replace(JPEG, storage="raw", num_bytes=200_704_000, images_per_second=60_000.0)
LIMITS = {"memory gather": 100_000.0, "jpeg decode": 8_000.0}
YUV420, MMAP = "`records build --storage yuv420`", "`--reader mmap`"


def test_planes_are_half_of_the_pixels_that_were_gathered() -> None:
    (found,) = predictions(JPEG, LIMITS)
    assert found.change == YUV420
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 200_000)
    assert found.times_the_disk == pytest.approx(98_304 / 18_000)


def test_from_raw_as_well() -> None:
    (found,) = predictions(RAW, LIMITS)
    assert found.change == YUV420
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 200_000)
    assert found.times_the_disk == pytest.approx(98_304 / 200_704)


def test_an_odd_side_has_no_planes_of_half_of_it() -> None:
    (found,) = predictions(replace(JPEG, side=255), LIMITS)
    assert found.change == "`records build --storage raw`"
    assert found.images_per_second == pytest.approx(MAPPED_SHARE * 100_000)


def test_originals_are_told_both_ways_the_best_first() -> None:
    original = replace(JPEG, storage="original", images_per_second=2_000.0)
    limits = {**LIMITS, "jpeg decode": 4_000.0, "jpeg decode, stored square": 9_000.0}
    best, other = predictions(original, limits)
    assert best.change == YUV420
    rate = DECODED_SHARE * 9_000
    assert other == Prediction("`records build --storage jpeg`", rate, None)


def test_streamed_pixels_could_be_mapped() -> None:
    (found,) = predictions(
        replace(RAW, storage="yuv420", reader="stream", images_per_second=9_000.0),
        LIMITS,
    )
    assert found == Prediction(MMAP, MAPPED_SHARE * 100_000, None)


@pytest.mark.parametrize(
    "now",
    [
        # As fast already, or nearly so.
        replace(JPEG, images_per_second=MAPPED_SHARE * 200_000 * 0.95),
        replace(RAW, images_per_second=MAPPED_SHARE * 200_000 * 1.2),
        replace(RAW, storage="yuv420", images_per_second=100.0),
        # Too large for the memory that would have to hold it.
        replace(JPEG, memory_bytes=98_000_000),
        replace(RAW, storage="yuv420", reader="stream", memory_bytes=200_000_000),
    ],
)
def test_no_clear_gain_is_no_prediction(now: Situation) -> None:
    assert predictions(now, LIMITS) == ()


@pytest.mark.parametrize("gather", [100.0, 5_000.0, 40_000.0])
@pytest.mark.parametrize("now", [JPEG, RAW, replace(RAW, reader="stream")])
def test_nothing_slower_is_ever_recommended(now: Situation, gather: float) -> None:
    for found in predictions(now, {**LIMITS, "memory gather": gather}):
        assert found.images_per_second > now.images_per_second
