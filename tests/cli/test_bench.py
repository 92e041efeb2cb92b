"""`alexnet bench input-pipeline`: its JSON, its tables and what it refuses."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import IMAGE_SIZE, alexnet, alexnet_json, failure

Built = tuple[Path, dict[str, Any]]

BENCH = ("bench", "input-pipeline")
SIZES = f"--batch-size 8 --image-size {IMAGE_SIZE}".split()
STAGES = "read shuffle parse decode batch prefetch".split()


def test_bench_json(built: Built) -> None:
    words = ("--seconds", 0.1, *SIZES, "--no-train-step", "--against", "article")
    found = alexnet_json(*BENCH, built[0], *words)
    assert found["data"] == str(built[0])
    assert found["storage"] == "jpeg"
    assert found["reader"] == "stream"
    assert found["batch_size"] == 8
    assert found["num_cpus"] == len(os.sched_getaffinity(0))
    rungs = {rung["stage"]: rung for rung in found["rungs"]}
    # The copy to a GPU is a rung only where there is one.
    assert [name for name in rungs if name != "to device"] == [*STAGES, "augment"]
    assert all(rung["images_per_second"] > 0 for rung in rungs.values())
    assert all(rung["spread"] >= 0 for rung in rungs.values())
    # The last rung before the device.
    assert found["images_per_second"] == rungs["prefetch"]["images_per_second"]
    assert set(found["limits"]) == {"disk read", "memory copy", "jpeg decode"}
    assert set(found["against"]) == {"article"}
    rates = [*found["limits"].values(), *found["against"].values()]
    assert min(rates) > 0
    assert found["bottleneck"] in rungs
    assert f"`{found['bottleneck']}`" in found["advice"]


def test_bench_for_people(built: Built) -> None:
    words = ("--seconds", 0.05, *SIZES, "--no-train-step", "--augment", "none")
    ended = alexnet(*BENCH, built[0], *words)
    assert ended.code == 0
    for word in (*STAGES, "augment", "memory copy", "bottleneck: "):
        assert word in ended.out
    assert "article" not in ended.out
    assert "note: " in ended.err


@pytest.mark.slow
def test_the_train_step_is_the_last_rung(built: Built) -> None:
    found = alexnet_json(*BENCH, built[0], "--seconds", 0.1, *SIZES)
    assert found["rungs"][-1]["stage"] == "train step"
    assert "against" not in found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--seconds 0", "seconds is 0.0"),
        ("--batch-size 0 --no-train-step", "batch_size is 0"),
        ("--batch-size 19 --no-train-step", "Choose --batch-size 18 or less"),
        ("--batch-size 8 --image-size 227", "Build them with --side 227 or more"),
        ("--batch-size 8 --ram-budget 1KiB --no-train-step", "64 MiB or more"),
    ],
)
def test_what_cannot_be_measured_is_told(words: str, said: str, built: Built) -> None:
    assert said in failure(*BENCH, built[0], *words.split())


def test_a_folder_without_records_is_told(tmp_path: Path) -> None:
    message = failure(*BENCH, tmp_path / "gone", "--no-train-step")
    assert str(tmp_path / "gone") in message
    assert "records build" in message


def test_the_article_needs_an_extra_that_is_named(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "pandas" else find_spec(name, *more),
    )
    words = (*SIZES, "--no-train-step", "--against", "article")
    message = failure(*BENCH, built[0], *words)
    assert "pandas" in message
    assert "alexnet[article]" in message
