"""Advice: what helps at each stage, and that nothing is advised that was done."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest

from alexnet.benchmarks.input_pipeline.advice import (
    NOTHING_LEFT,
    Situation,
    device_advice,
    host_advice,
    shuffle_advice,
)
from alexnet.benchmarks.input_pipeline.ladder import Share
from alexnet.pipeline.config import MIN_RAM_BUDGET_BYTES, StorageName
from tests.benchmarks.conftest import SITUATION

MAPPED = SITUATION
STREAMED = replace(SITUATION, reader="stream", suits_mmap=False)
PLANES = "The JPEGs' planes in place of RGB (`fit --decode planes`)"
PIXELS = "`records build --side`, 256 now"


def but(now: Situation = MAPPED, **changed: Any) -> Situation:
    return replace(now, **changed)


@pytest.mark.parametrize(
    ("stage", "now", "told"),
    [
        (
            "to device",
            MAPPED,
            "Half the bytes (`records build --storage yuv420`) or fewer pixels"
            f" ({PIXELS}) would help.",
        ),
        ("to device", but(storage="yuv420"), f"Fewer pixels ({PIXELS}) would help."),
        ("to device", but(decode="planes"), f"Fewer pixels ({PIXELS}) would help."),
        (
            "to device",
            but(has_gpu=True),
            f"{PLANES}, half the bytes (`records build --storage yuv420`) or",
        ),
        ("to device", but(side=255), "Fewer pixels (`records build --side`, 255 now)"),
        ("to device", but(storage="yuv420", image_size=256), NOTHING_LEFT),
        (
            "augment",
            MAPPED,
            "A GPU (here it runs on the CPUs that decode) or a lighter `fit --augment`"
            " would help.",
        ),
        ("augment", but(has_gpu=True), "A lighter `fit --augment` would help."),
        ("augment", but(has_gpu=True, augment="none"), NOTHING_LEFT),
        (
            "train step",
            MAPPED,
            "The input pipeline keeps up. `alexnet fit --mixed-precision`, a larger"
            " `fit --batch-size` or a GPU would help.",
        ),
        (
            "train step",
            but(precision="mixed_float16", has_gpu=True),
            "The input pipeline keeps up. A larger `fit --batch-size` or a faster GPU",
        ),
        # Without instructions for it, a step takes longer in bfloat16.
        (
            "train step",
            but(has_half=False, batch_size=501),
            "The input pipeline keeps up. A GPU would help.",
        ),
    ],
)
def test_on_the_device(stage: str, now: Situation, told: str) -> None:
    assert device_advice(stage, now).startswith(told)


@pytest.mark.parametrize(
    ("limit", "now", "told"),
    [
        (
            "disk read",
            STREAMED,
            f"A faster disk or fewer pixels ({PIXELS}) would help.",
        ),
        (
            "disk read",
            but(STREAMED, storage="original", image_size=256),
            "A faster disk or smaller records (`records build --storage jpeg`) would",
        ),
        (
            "jpeg decode",
            MAPPED,
            f"Fewer pixels ({PIXELS}) or more CPUs (2 now) would help.",
        ),
        ("jpeg decode", but(image_size=256), "More CPUs (2 now) would help."),
        # Without a GPU, the CPUs would have to make RGB of them all the same.
        ("jpeg decode", but(has_gpu=True, image_size=256), f"{PLANES} or more CPUs"),
        (
            "jpeg decode, planes",
            but(has_gpu=True, decode="planes"),
            f"Fewer pixels ({PIXELS}) or more CPUs (2 now) would help.",
        ),
        (
            "jpeg decode",
            but(image_size=256, present_cpus=64),
            "More CPUs (2 of this machine's 64 may be used) would help.",
        ),
        (
            "memory gather",
            but(storage="raw"),
            "Half the bytes (`records build --storage yuv420`) or fewer pixels",
        ),
        ("memory gather", but(storage="raw", side=255), "Fewer pixels"),
        (
            "memory gather",
            but(storage="yuv420"),
            f"Fewer pixels ({PIXELS}) would help.",
        ),
        ("memory gather", but(storage="yuv420", image_size=256), NOTHING_LEFT),
    ],
)
def test_near_a_limit(limit: str, now: Situation, told: str) -> None:
    assert host_advice("read", Share(limit, 0.6), now).startswith(told)


@pytest.mark.parametrize(
    ("stage", "now", "told"),
    [
        (
            "read",
            STREAMED,
            "More shards to read side by side (`records build --shards`) or more CPUs"
            " (2 now) would help.",
        ),
        ("read", but(STREAMED, num_shards=16), "More CPUs (2 now) would help."),
        (
            "read",
            but(STREAMED, num_shards=16, suits_mmap=True),
            "`fit --reader mmap` or more",
        ),
        ("shuffle", STREAMED, "A smaller `fit --ram-budget` (fewer records in the"),
        (
            "shuffle",
            but(STREAMED, ram_budget_bytes=MIN_RAM_BUDGET_BYTES),
            "More CPUs (2 now) would help.",
        ),
        ("shuffle", MAPPED, "More CPUs (2 now) would help."),
        ("parse", STREAMED, "More CPUs (2 now) would help."),
        ("parse", but(STREAMED, suits_mmap=True), "`fit --reader mmap` or more CPUs"),
        ("decode", MAPPED, f"Fewer pixels ({PIXELS}) or more CPUs (2 now) would help."),
        ("batch", STREAMED, "More CPUs (2 now) would help."),
        ("prefetch", MAPPED, "More CPUs (2 now) would help."),
    ],
)
def test_at_a_stage_far_from_any_limit(stage: str, now: Situation, told: str) -> None:
    for share in (None, Share("disk read", 0.59)):
        assert host_advice(stage, share, now).startswith(told)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (but(storage="raw"), "More CPUs (2 now) would help."),
        (
            but(storage="raw", num_bytes=2 * 10**9),
            "Memory that holds all of the shards",
        ),
        (
            but(STREAMED, storage="raw", suits_mmap=True),
            "`fit --reader mmap` or more CPUs",
        ),
    ],
)
def test_far_from_the_gather(now: Situation, told: str) -> None:
    assert host_advice("read", Share("memory gather", 0.3), now).startswith(told)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (MAPPED, ""),
        (STREAMED, ""),
        (but(STREAMED, suits_mmap=True), "`fit --reader mmap` would help."),
        (but(STREAMED, shuffle_records=900), "A larger `fit --ram-budget` would help."),
        (but(STREAMED, shuffle_records=16_384, num_images=10**6), ""),
        (
            but(STREAMED, storage="original"),
            "Records that are mapped (`records build --storage jpeg`) would help.",
        ),
    ],
)
def test_of_the_shuffle(now: Situation, told: str) -> None:
    assert shuffle_advice(now) == told


def situations() -> list[Situation]:
    """Every combination of what could have been done."""
    return [
        but(
            storage=storage,
            reader=reader,
            precision=precision,
            augment=augment,
            has_gpu=has_gpu,
            image_size=image_size,
        )
        for storage, reader, precision, augment, has_gpu, image_size in product(
            get_args(StorageName),
            ("mmap", "stream"),
            ("float32", "mixed_bfloat16"),
            ("paper", "none"),
            (False, True),
            (227, 256),
        )
    ]


def all_advice(now: Situation) -> str:
    stages = ("read", "shuffle", "batch", "parse", "decode", "prefetch")
    limits = ("disk read", "jpeg decode", "memory gather")
    told = [device_advice(s, now) for s in ("to device", "augment", "train step")]
    told += [
        host_advice(stage, Share(limit, share), now)
        for stage, limit, share in product(stages, limits, (0.3, 0.7))
    ]
    return " ".join([*told, shuffle_advice(now)])


@pytest.mark.parametrize("now", situations())
def test_nothing_is_advised_that_was_done(now: Situation) -> None:
    told = all_advice(now)
    assert f"--storage {now.storage}" not in told
    assert "--reader stream" not in told
    assert now.reader == "stream" or "`fit --reader mmap`" not in told
    assert now.precision == "float32" or "--mixed-precision" not in told
    assert now.augment != "none" or "--augment" not in told
    assert not now.has_gpu or "a GPU" not in told.replace("A GPU", "a GPU")
    assert now.side > now.image_size or "--side" not in told
