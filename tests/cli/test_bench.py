"""`alexnet bench input-pipeline`: its JSON, its tables and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from alexnet.benchmarks.config import BenchConfig
from alexnet.benchmarks.input_pipeline import input_pipeline
from alexnet.benchmarks.input_pipeline.report import BenchReport
from alexnet.pipeline.machine import num_cpus
from tests.benchmarks.conftest import MADE_UP
from tests.cli.conftest import IMAGE_SIZE, STORED_SIDE, alexnet, alexnet_json, failure

Built = tuple[Path, dict[str, Any]]

BENCH = ("bench", "input-pipeline")
SIZES = f"--batch-size 8 --image-size {IMAGE_SIZE}".split()
STAGES = "shuffle decode prefetch".split()


@pytest.mark.slow
def test_bench_json(built: Built) -> None:
    words = ("--seconds", 0.1, *SIZES, "--no-train-step", "--against", "plain")
    found = alexnet_json(*BENCH, built[0], *words)
    assert found["data"] == str(built[0])
    assert found["storage"] == "jpeg"
    assert found["reader"] == "mmap"
    assert found["batch_size"] == 8
    assert found["num_cpus"] == num_cpus()
    rungs = {rung["stage"]: rung for rung in found["rungs"]}
    # The copy to a GPU is a rung only where there is one.
    assert [name for name in rungs if name != "to device"] == [*STAGES, "augment"]
    assert all(rung["images_per_second"] > 0 for rung in rungs.values())
    assert all(rung["spread"] >= 0 for rung in rungs.values())
    # The last rung before the device.
    assert found["images_per_second"] == rungs["prefetch"]["images_per_second"]
    assert set(found["limits"]) == {
        *("disk read", "memory copy", "memory gather", "jpeg decode", "augment alone")
    }
    assert set(found["against"]) == {"plain"}
    assert set(found["ratios"]) == {"jpeg decode", "plain"}
    assert set(found["ratios"]["plain"]) == {"ratio", "spread"}
    assert set(found["shares"]) == {"decode", "prefetch", "augment"}
    rates = [*found["limits"].values(), *found["against"].values()]
    assert min(rates) > 0
    assert found["first_batch_seconds"] > 0
    assert found["resident_bytes"] >= 0
    assert {"cold_images_per_second", "reader_reason"} < set(found)
    quality = found["shuffle_quality"]
    assert set(quality) == {"class_mixing", "class_mixing_interval", "displacement"}
    low, high = quality["class_mixing_interval"]
    assert 0 <= low < 1 < high
    settings = "side resize quality augment image_size precision".split()
    assert [found[name] for name in settings] == [
        *(STORED_SIDE, "crop", 90, "paper", IMAGE_SIZE, "float32")
    ]
    assert found["ram_budget_bytes"] == 4 * 2**30
    assert found["host"]["cpus"] == found["num_cpus"]
    assert found["host"]["name"] == platform.node()
    assert found["versions"] == {
        "python": platform.python_version(),
        **{name: version(name) for name in ("alexnet", "tensorflow", "keras", "numpy")},
    }
    assert found["bottleneck"] in rungs
    assert f"`{found['bottleneck']}`" in found["advice"]


@pytest.mark.slow
def test_bench_for_people(built: Built) -> None:
    words = ("--seconds", 0.05, *SIZES, "--no-train-step", "--augment", "none")
    ended = alexnet(*BENCH, built[0], *words, "--reader", "stream")
    assert ended.code == 0
    stages = ("read", "shuffle", "batch", "parse", "decode", "prefetch")
    beside = ("jpeg decode", "first batch after", "resident memory", "class mixing")
    for word in (*stages, *beside, "augment", "memory gather", "bottleneck: "):
        assert word in ended.out
    assert "reader stream (it was asked for)" in ended.out
    assert "plain" not in ended.out
    assert "note: " in ended.err


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of a bench that measures nothing, and reports made-up figures."""
    settings: list[Any] = []

    def run_bench(data: Path, config: BenchConfig, *more: object) -> BenchReport:
        settings.append(config)
        return MADE_UP

    monkeypatch.setattr(input_pipeline, "run_bench", run_bench)
    return settings


def older(folder: Path, left_out: str = "", **changed: Any) -> Path:
    path = folder / "old.json"
    values = {**MADE_UP.to_json(), "side": STORED_SIDE, **changed}
    values.pop(left_out, None)
    path.write_text(json.dumps(values))
    return path


MADE = ("--no-train-step", "--batch-size", 128)


def test_what_was_asked_for_is_what_is_measured(
    built: Built, measured: list[Any]
) -> None:
    against = ("--against", "plain", "--against", "torch-simplejpeg")
    words = ("--reader", "stream", "--seconds", 2, "--ram-budget", "1GiB", *against)
    alexnet_json(*BENCH, built[0], *MADE, *words)
    (config,) = measured
    assert config.against == ("plain", "torch-simplejpeg")
    assert [config.reader, config.seconds, config.batch_size] == ["stream", 2, 128]
    assert config.ram_budget_bytes == 2**30


def test_loaders_and_an_older_report_have_their_tables(
    built: Built, measured: list[Any], tmp_path: Path
) -> None:
    old = older(tmp_path, images_per_second=3_500.0)
    ended = alexnet(*BENCH, built[0], *MADE, "--compare", old)
    assert ended.code == 0, ended.err
    for row in ("plain | 6,000 | 1.17 x | 4%", "images/s | 3,500 | 7,000 | 2.00"):
        pattern = r"\s*\S\s*".join(map(re.escape, row.split(" | ")))
        assert re.search(pattern, ended.out), ended.out


@pytest.mark.parametrize(("rate", "code"), [(7_700.0, 0), (8_000.0, 1)])
def test_fail_below_is_a_gate(
    built: Built, measured: list[Any], tmp_path: Path, rate: float, code: int
) -> None:
    """7 000 of 7 700 images/s are 0.91, of 8 000 0.875."""
    old = older(tmp_path, images_per_second=rate)
    words = (*MADE, "--compare", old, "--fail-below", 0.9, "--json")
    ended = alexnet(*BENCH, built[0], *words)
    assert ended.code == code
    (change, share) = ended.json["compare"]
    assert change == {
        "figure": "images/s",
        "old": rate,
        "new": 7_000.0,
        "ratio": 7_000.0 / rate,
    }
    assert share["ratio"] == 1
    assert ("too slow: 7,000 images/s are 0.88 times" in ended.err) == bool(code)


def test_an_older_report_that_does_not_fit_is_told_before_anything_is_timed(
    built: Built, measured: list[Any], tmp_path: Path
) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"storage": "raw"}, "measured with storage raw (now jpeg)"),
        ({"batch_size": 64, "side": 9}, "side 9 (now 72), batch size 64 (now 128)"),
        ({"augment": "none"}, "measured with augmentation none (now paper)"),
        ({"precision": "mixed_float16"}, "precision mixed_float16 (now float32)"),
        ({"left_out": "side"}, "it does not tell its side"),
        ({"rungs": None}, "is no bench's report"),
    ]
    for changed, said in cases:
        old = older(tmp_path, **changed)
        assert said in failure(*BENCH, built[0], *MADE, "--compare", old)
    gone = tmp_path / "gone.json"
    assert str(gone) in failure(*BENCH, built[0], *MADE, "--compare", gone)
    assert not measured


def test_another_machine_is_told_beside_the_comparison(
    built: Built, measured: list[Any], tmp_path: Path
) -> None:
    old = older(tmp_path, host={"name": "box", "cpu": "Xeon", "cpus": 2, "gpus": []})
    ended = alexnet(*BENCH, built[0], *MADE, "--compare", old)
    assert ended.code == 0, ended.err
    assert "note: host cpu: Xeon before, EPYC now" in ended.err
    assert "host cpus" not in ended.err


@pytest.mark.parametrize(("least", "code"), [(0.7, 0), (0.71, 1)])
def test_fail_below_share_is_a_gate_of_its_own(
    built: Built, measured: list[Any], least: float, code: int
) -> None:
    """The last host rung is at 0.7 of its limit; that of the device is none of it."""
    ended = alexnet(*BENCH, built[0], *MADE, "--fail-below-share", least, "--json")
    assert ended.code == code
    assert ended.json["shares"]["augment"]["share"] == 0.8
    assert "compare" not in ended.json
    assert ("reaches 0.700 of it" in ended.err) == bool(code)


def test_plot_draws_the_ladder(
    built: Built, measured: list[Any], tmp_path: Path
) -> None:
    alexnet_json(*BENCH, built[0], *MADE, "--plot", tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fail-below", 0.9), "--fail-below needs --compare"),
        (("--compare", "old.json", "--fail-below", -1), "--fail-below"),
        (("--fail-below-share", -1), "--fail-below-share"),
        (("--plot", "gone/ladder.png"), "no such folder: gone"),
        (("--against", "petastorm"), "torch-pillow"),
        (("--reader", "fast"), "stream"),
    ],
)
def test_wrong_usage_is_2(
    words: tuple[object, ...], said: str, measured: list[Any]
) -> None:
    ended = alexnet(*BENCH, *words)
    assert ended.code == 2
    assert said in ended.err
    assert not measured


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
