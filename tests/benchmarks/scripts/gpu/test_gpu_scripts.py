"""The scripts for a GPU, each on the CPU with little to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alexnet.benchmarks.scripts.gpu import article
from alexnet.benchmarks.synthetic import write_shapes
from alexnet.pipeline.errors import DataError

ROOT = Path(__file__).parents[4]


def figures_of(script: str, *words: object) -> dict[str, Any]:
    """The JSON of a script that ends well."""
    command = [sys.executable, "-m", f"alexnet.benchmarks.scripts.gpu.{script}", *words]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_the_article_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*photos.zip"):
        article.measure_article(tmp_path / "photos.zip", 1, 1.0)


@pytest.mark.slow
def test_start_times_every_part() -> None:
    found = figures_of("start", "--batch-size", 2, "--float32")
    parts = ("import", "first_operation", "weights", "first_step", "second_step")
    assert all(found[f"{part}_seconds"] > 0 for part in parts)
    # It is traced once.
    assert found["second_step_seconds"] < found["first_step_seconds"]


@pytest.mark.slow
def test_the_article_is_timed_for_its_steps(tmp_path: Path) -> None:
    write_shapes(tmp_path, 66, 32)
    found = figures_of("article", tmp_path, "--steps", 2, "--width", 0.0625)
    assert (found["steps"], found["batch_size"]) == (2, 32)
    speed = 32 / found["step_milliseconds"] * 1e3
    assert found["images_per_second"] == pytest.approx(speed)
