"""The diagnosis on made-up ladders whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.benchmarks.input_pipeline.diagnosis import (
    bottleneck,
    check_cold_start,
    check_shuffle,
    describe_bottleneck,
    describe_loaders,
)
from alexnet.benchmarks.input_pipeline.ladder import Rung, Share
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.input_pipeline.speedups import Speedup
from alexnet.benchmarks.measure import describe_rate
from alexnet.benchmarks.rounds import Ratio
from tests.benchmarks.conftest import SITUATION

LIMITS = {"disk read": 400_000.0, "memory gather": 100_000.0, "jpeg decode": 10_000.0}


def ladder(**images_per_second: float) -> list[Rung]:
    return [
        Rung(stage.replace("_", " "), rate, 0.02)
        for stage, rate in images_per_second.items()
    ]


HOST = {"read": 80_000, "shuffle": 60_000, "parse": 16_000}
DECODE_BOUND = ladder(**HOST, decode=5_000, batch=4_900, prefetch=5_000)
MAPPED = ladder(shuffle=5_000_000, read=70_000, prefetch=70_000)


@pytest.mark.parametrize(
    ("rungs", "stage"),
    [
        (DECODE_BOUND, "decode"),
        (MAPPED, "read"),
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
    assert bottleneck(rungs, LIMITS) == stage


@pytest.mark.parametrize(
    ("alone", "stage"), [(24_000.0, "decode"), (4_000.0, "train step")]
)
def test_a_step_that_takes_more_when_it_is_alone_waits_for_the_host(
    alone: float, stage: str
) -> None:
    """Behind the pipeline it takes 3 500 of the 5 000 that the host could deliver."""
    rungs = [*DECODE_BOUND, *ladder(train_step=3_500)]
    assert bottleneck(rungs, {**LIMITS, "train step alone": alone}) == stage


def test_decode_bound() -> None:
    """1e6/5000 - 1e6/16000 is 137.5 of 200 microseconds."""
    rungs = [*DECODE_BOUND, *ladder(train_step=4_800)]
    limits = {**LIMITS, "train step alone": 24_040.0}
    shares = {"prefetch": Share("jpeg decode", 0.5)}
    found = [Speedup("`records build --storage yuv420`", 60_040.0, 5.42)]
    assert describe_bottleneck(rungs, limits, shares, found, SITUATION) == (
        "`decode` limits: the host delivers 5,000 images/s, and of an image's 200"
        " microseconds 138 are spent there."
        " `train step alone` takes 24,000 images/s."
        " The host reaches 50% of the machine's `jpeg decode`, 10,000 images/s."
        " `records build --storage yuv420` is predicted to give 60,000 images/s on this"
        " machine, for 5.4 times the disk."
    )


def test_step_bound_recommends_no_other_records() -> None:
    rungs = [*DECODE_BOUND, *ladder(augment=4_900, train_step=500)]
    limits = {**LIMITS, "train step alone": 520.0}
    found = [Speedup("`records build --storage yuv420`", 60_000.0, 5.4)]
    words = describe_bottleneck(rungs, limits, {}, found, SITUATION)
    assert words.startswith(
        "`train step` limits: 500 images/s, while the host delivers"
    )
    assert "5,000 images/s, 10.0 times as many" in words
    assert "There `decode` costs most." in words
    assert "--mixed-precision" in words
    assert "--storage" not in words


@pytest.mark.parametrize(
    ("rungs", "share", "remedy"),
    [
        (DECODE_BOUND, Share("jpeg decode", 0.9), "Fewer pixels (`records build"),
        (MAPPED, Share("memory gather", 0.3), "More CPUs (2 now) would help."),
    ],
)
def test_without_a_prediction_the_remedy_depends_on_the_limit(
    rungs: list[Rung], share: Share, remedy: str
) -> None:
    shares = {bottleneck(rungs, LIMITS): share}
    words = describe_bottleneck(rungs, LIMITS, shares, [], SITUATION)
    assert words.split(". ")[-1].startswith(remedy)
    assert "predicted" not in words


@pytest.mark.parametrize("stage", ["shuffle", "parse", "batch", "prefetch"])
def test_every_host_stage_has_its_remedy(stage: str) -> None:
    names = ["read", "shuffle", "batch", "parse", "decode", "prefetch"]
    rates = [9_000 if n < names.index(stage) else 500 for n in range(len(names))]
    rungs = ladder(**dict(zip(names, rates, strict=True)))
    words = describe_bottleneck(rungs, LIMITS, {}, [], SITUATION)
    assert words.startswith(f"`{stage}` limits: the host delivers 500 images/s")
    assert len(words.split(". ")) == 2


@pytest.mark.parametrize(
    ("number", "told"),
    [(0.1234, "0"), (7.126, "7"), (148.4, "148"), (7_126, "7,130"), (98_650, "98,600")],
)
def test_rates_have_three_digits(number: float, told: str) -> None:
    assert describe_rate(number) == f"{told} images/s"


def test_loaders_are_told_with_the_ratio_of_the_rounds() -> None:
    """Only the article's generator augments, so only it is set beside that rung."""
    rungs = [Rung("prefetch", 5_000, 0.1), Rung("augment", 2_000, 0.1)]
    against = {"article": 200.0, "dali": 4_264.0}
    ratios = {"article": Ratio(25.04, 0.03), "dali": Ratio(1.171, 0.12)}
    assert describe_loaders(against, ratios, rungs) == [
        "The host delivers 25.04 times as many images as `article` (200 images/s; the"
        " ratio's spread is 3%), 10.0 times as many augmented.",
        "The host delivers 1.17 times as many images as `dali` (4,260 images/s; the"
        " ratio's spread is 12%).",
    ]
    assert not describe_loaders({}, {}, rungs)


def test_a_disk_that_limits_the_first_pass_is_told() -> None:
    (told,) = check_cold_start(1_200.0, 4_800.0)
    assert "1,200 images/s from a cold page cache, 4,800 images/s from a warm" in told
    assert not check_cold_start(4_500.0, 4_800.0)
    assert not check_cold_start(None, 4_800.0)


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
    (sentence,) = check_shuffle(quality, STREAMED)
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
    assert not check_shuffle(quality, STREAMED)


def test_the_mapped_readers_chance_is_told_without_advice() -> None:
    (told,) = check_shuffle(ShuffleQuality(1.21, UNIFORM, 1.0), SITUATION)
    assert told.endswith("0.80 to 1.20.")
