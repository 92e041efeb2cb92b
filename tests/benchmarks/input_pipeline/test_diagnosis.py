"""The verdict on made-up ladders whose answer is known."""

from __future__ import annotations

import pytest

from alexnet.benchmarks.input_pipeline.diagnosis import bottleneck, rate, verdict
from alexnet.benchmarks.input_pipeline.ladder import Rung
from alexnet.benchmarks.input_pipeline.shares import Share
from alexnet.benchmarks.input_pipeline.speedups import Prediction
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
    found = [Prediction("`records build --storage yuv420`", 60_040.0, 5.42)]
    assert verdict(rungs, limits, shares, found, SITUATION) == (
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
    found = [Prediction("`records build --storage yuv420`", 60_000.0, 5.4)]
    words = verdict(rungs, limits, {}, found, SITUATION)
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
    words = verdict(rungs, LIMITS, shares, [], SITUATION)
    assert words.split(". ")[-1].startswith(remedy)
    assert "predicted" not in words


@pytest.mark.parametrize("stage", ["shuffle", "parse", "batch", "prefetch"])
def test_every_host_stage_has_its_remedy(stage: str) -> None:
    names = ["read", "shuffle", "batch", "parse", "decode", "prefetch"]
    rates = [9_000 if n < names.index(stage) else 500 for n in range(len(names))]
    rungs = ladder(**dict(zip(names, rates, strict=True)))
    words = verdict(rungs, LIMITS, {}, [], SITUATION)
    assert words.startswith(f"`{stage}` limits: the host delivers 500 images/s")
    assert len(words.split(". ")) == 2


@pytest.mark.parametrize(
    ("number", "told"),
    [(0.1234, "0"), (7.126, "7"), (148.4, "148"), (7_126, "7,130"), (98_650, "98,600")],
)
def test_rates_have_three_digits(number: float, told: str) -> None:
    assert rate(number) == f"{told} images/s"
