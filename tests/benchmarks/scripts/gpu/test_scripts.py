"""The scripts' pure parts on made-up figures; slowly, each of them on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from alexnet.benchmarks.loaders.peer import require_peer
from alexnet.benchmarks.scripts.gpu.pipeline import readers_of
from alexnet.benchmarks.scripts.gpu.start import describe_cache
from alexnet.benchmarks.scripts.gpu.step import grid
from alexnet.benchmarks.scripts.gpu.to_accuracy import Reached, Watch, crossings
from alexnet.benchmarks.synthetic import write_shapes
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.metrics import Metrics
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.opened_records import open_records

ROOT = Path(__file__).parents[4]
TINY = ("--set", "width=0.0625", "image_size=67", "batch_size=8")


def test_the_grid_has_every_combination_once() -> None:
    cells = list(grid(["article", "bn"], ["mixed"], ["off", "on"], [8, 16]))
    assert cells[1] == {
        "variant": "article",
        "mixed_precision": True,
        "xla": False,
        "batch_size": 16,
    }
    keys = {(cell["variant"], cell["xla"], cell["batch_size"]) for cell in cells}
    assert len(cells) == len(keys) == 2 * 2 * 2


def epoch(number: int, accuracy: float | None) -> EpochRecord:
    return EpochRecord(number, 10 * number, 0.1, 1, 0.5, 1, accuracy, 100, 0, 5)


def test_an_accuracy_is_reached_when_it_is_first_seen() -> None:
    seen = [(0.7, 10.0), (0.86, 20.0), (0.84, 30.0), (0.9, 40.0)]
    epochs = [
        {"epoch": number, "val_accuracy": accuracy, "elapsed_seconds": seconds}
        for number, (accuracy, seconds) in enumerate(seen, 1)
    ]
    assert crossings(epochs, (0.85, 0.9, 0.95)) == [
        {"accuracy": 0.85, "epoch": 2, "seconds": 20.0},
        {"accuracy": 0.9, "epoch": 4, "seconds": 40.0},
        {"accuracy": 0.95, "epoch": None, "seconds": None},
    ]


def test_training_ends_when_it_is_good_enough() -> None:
    watch = Watch(0.9)
    watch.step(1, Metrics(0.5, 0.5, 1, 0))
    for record in (epoch(1, None), epoch(2, 0.89)):
        watch.epoch(record, 20, "")
    with pytest.raises(Reached):
        watch.epoch(epoch(3, 0.9), 20, "GPU 90 %")
    assert [e["val_accuracy"] for e in watch.epochs] == [None, 0.89, 0.9]
    times = [watch.first_step_seconds, *(e["elapsed_seconds"] for e in watch.epochs)]
    assert times == sorted(times)
    # `epochs` end here as well where no validation was made.
    assert crossings(watch.epochs[:1], [0.5])[0]["epoch"] is None


def test_the_cache_is_measured_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kernel").write_bytes(bytes(300))
    (tmp_path / "index").write_bytes(bytes(20))
    found = describe_cache({"CUDA_CACHE_PATH": str(tmp_path)})
    assert found["num_bytes"] == 320
    assert (found["path"], found["CUDA_CACHE_MAXSIZE"]) == (str(tmp_path), None)
    nowhere = describe_cache({"CUDA_CACHE_PATH": str(tmp_path / "none")})
    assert nowhere["num_bytes"] == 0


@pytest.mark.parametrize(
    ("storage", "readers"),
    [
        ("raw", ["mmap", "stream"]),
        ("jpeg", ["mmap", "stream"]),
        ("original", ["stream"]),
    ],
)
def test_records_are_read_in_every_way_they_allow(
    record_sets: dict[StorageName, Path], storage: StorageName, readers: list[str]
) -> None:
    assert list(readers_of(open_records(record_sets[storage]))) == readers


def rows_of(script: str, *words: object, python: Path | None = None) -> list[Any]:
    """The rows of a script that ends well."""
    command = [
        python or sys.executable,
        "-m",
        f"alexnet.benchmarks.scripts.gpu.{script}",
        *words,
    ]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr[-3000:]
    rows: list[Any] = json.loads(done.stdout)["rows"]
    return rows


def positive(row: dict[str, Any], names: Sequence[str]) -> bool:
    return all(row[name] > 0 for name in names)


@pytest.mark.slow
def test_step_measures_its_grid() -> None:
    cells = ("--variants", "bn", "--precisions", "mixed", "--batch-sizes", 8, 4)
    rows = rows_of("step", *cells, *TINY[:3], "seconds=0.1")
    assert [(row["xla"], row["batch_size"]) for row in rows] == [
        *[(False, 8), (False, 4)],
        *[(True, 8), (True, 4)],
    ]
    measured = ("images_per_second", "first_step_seconds", "share_of_matmul")
    assert all(positive(row, measured) for row in rows)
    assert {row["variant"] for row in rows} == {"bn"}


@pytest.mark.slow
def test_start_times_every_part() -> None:
    *starts, told = rows_of("start", "--starts", 2, *TINY)
    parts = ("import", "first_operation", "weights", "first_step", "second_step")
    assert [start["start"] for start in starts] == [1, 2]
    for start in starts:
        assert positive(start, [f"{part}_seconds" for part in parts])
        # It is traced once.
        assert start["second_step_seconds"] < start["first_step_seconds"]
    assert told["tensorflow"]["version"].startswith("2.15")


@pytest.mark.slow
def test_pipeline_measures_every_reader(record_sets: dict[StorageName, Path]) -> None:
    sets = (record_sets["raw"], record_sets["original"])
    small = ("batch_size=4", "image_size=16", "seconds=0.1")
    rows = rows_of("pipeline", *sets, "--set", *small)
    assert [(row["storage"], row["reader"]) for row in rows] == [
        *[("raw", "mmap"), ("raw", "stream")],
        ("original", "stream"),
    ]
    assert all(positive(row, ["images_per_second"]) and row["limits"] for row in rows)


@pytest.mark.slow
def test_fed_is_a_share_of_the_step(train_records: Path) -> None:
    short = ("--steps", 3, "--seconds", 0.1, "--rounds", 2)
    rows = rows_of("fed", train_records, *short, *TINY)
    assert [row["reader"] for row in rows] == ["mmap", "stream"]
    for row in rows:
        ratios = [each["fed"] / each["step"] for each in row["each_round"]]
        assert row["ratio"] == pytest.approx(sum(ratios) / 2)
        assert 0 <= row["input_wait_share"] < 1


@pytest.mark.slow
def test_to_accuracy_ends_at_the_highest(train_records: Path) -> None:
    seeds = ("--accuracies", 0.1, "--seeds", 1, 2)
    rows = rows_of("to_accuracy", train_records, *seeds, *TINY, "epochs=3")
    for seed, row in enumerate(rows, 1):
        assert row["settings"]["seed"] == seed
        (reached,) = row["reached"]
        # Of ten photos in two classes, even a guess gets one.
        assert reached["epoch"] == len(row["epochs"]) == 1
        assert reached["seconds"] > row["first_step_seconds"]


@pytest.mark.slow
def test_article_stands_beside_ours(tmp_path: Path) -> None:
    write_shapes(tmp_path / "photos", 132, 32)
    picture = tmp_path / "load.png"
    small = ("--steps", 2, "--set", "width=0.0625", "--picture", picture)
    rows = rows_of("article", tmp_path / "photos", *small)
    assert [(row["steps"], row["batch_size"]) for row in rows] == [
        *[(2, 32), (2, 32)],
        (2, 128),
    ]
    for row in rows:
        speed = row["batch_size"] / row["step_milliseconds"] * 1e3
        assert row["images_per_second"] == pytest.approx(speed)
    with Image.open(picture) as image:
        assert image.format == "PNG"


@pytest.mark.slow
def test_torch_trains_the_network_of_the_field(
    record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    try:
        python = require_peer("torch-pillow")
    except ConfigError:
        pytest.skip("PyTorch's environment is not set up")
    for number in range(8):
        square = Image.effect_noise((256, 256), 50).convert("RGB")
        square.save(tmp_path / f"{number % 2}.{number}.jpg")
    cells = ("--compile", "off", "--batch-sizes", 2, "--seconds", 0.2, "--workers", 1)
    rows = rows_of("torch_step", *cells, "--photos", tmp_path, python=python)
    assert [row["precision"] for row in rows] == ["float32", "mixed"]
    for row in rows:
        # torchvision's own count, with 1000 classes.
        assert row["parameters"] == 61_100_840
        assert positive(row, ["images_per_second", "fed_images_per_second", "ratio"])


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is here")
def test_torch_says_what_it_needs() -> None:
    command = [sys.executable, "-m", "alexnet.benchmarks.scripts.gpu.torch_step"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "has PyTorch" in done.stderr
