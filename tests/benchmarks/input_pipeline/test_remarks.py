"""Remarks on made-up findings: told when they need attention, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.benchmarks.input_pipeline.ladder import Rung
from alexnet.benchmarks.input_pipeline.remarks import (
    of_cold_start,
    of_peers,
    of_shuffle,
)
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.rounds import Ratio
from tests.benchmarks.conftest import SITUATION


def test_peers_are_told_with_the_ratio_of_the_rounds() -> None:
    """Only the article's generator augments, so only it is set beside that rung."""
    rungs = [Rung("prefetch", 5_000, 0.1), Rung("augment", 2_000, 0.1)]
    against = {"article": 200.0, "dali": 4_264.0}
    ratios = {"article": Ratio(25.04, 0.03), "dali": Ratio(1.171, 0.12)}
    assert of_peers(against, ratios, rungs) == [
        "The host delivers 25.04 times as many images as `article` (200 images/s; the"
        " ratio's spread is 3%), 10.0 times as many augmented.",
        "The host delivers 1.17 times as many images as `dali` (4,260 images/s; the"
        " ratio's spread is 12%).",
    ]
    assert not of_peers({}, {}, rungs)


def test_a_disk_that_limits_the_first_pass_is_told() -> None:
    (told,) = of_cold_start(1_200.0, 4_800.0)
    assert "1,200 images/s from a cold page cache, 4,800 images/s from a warm" in told
    assert not of_cold_start(4_500.0, 4_800.0)
    assert not of_cold_start(None, 4_800.0)


STREAMED = replace(SITUATION, reader="stream")
UNIFORM = (0.8, 1.2)


@pytest.mark.parametrize(
    ("quality", "told"),
    [
        (
            ShuffleQuality(12.3, UNIFORM, 1.0),
            "class counts vary 12.30 times as much as by chance, where 95% of uniform"
            " permutations come to 0.80 to 1.20. ",
        ),
        (ShuffleQuality(1.21, UNIFORM, 1.0), "vary 1.21 times"),
        (ShuffleQuality(1.1, UNIFORM, 0.04), "move 4% as far as in a uniform shuffle"),
        (ShuffleQuality(None, None, 0.04), "move 4% as far"),
    ],
)
def test_a_poor_shuffle_is_told(quality: ShuffleQuality, told: str) -> None:
    (sentence,) = of_shuffle(quality, STREAMED)
    assert told in sentence
    assert "--reader mmap" in sentence


@pytest.mark.parametrize(
    "quality",
    [
        ShuffleQuality(0.9, UNIFORM, 1.0),
        # One that varies less than by chance harms nothing.
        ShuffleQuality(0.1, UNIFORM, 1.0),
        # Of few batches a uniform permutation may come to that.
        ShuffleQuality(2.9, (0.2, 3.0), 1.0),
        ShuffleQuality(None, None, None),
    ],
)
def test_a_good_one_is_not(quality: ShuffleQuality) -> None:
    assert not of_shuffle(quality, STREAMED)


def test_the_mapped_readers_chance_is_told_without_advice() -> None:
    (told,) = of_shuffle(ShuffleQuality(1.21, UNIFORM, 1.0), SITUATION)
    assert told.endswith("0.80 to 1.20.")
