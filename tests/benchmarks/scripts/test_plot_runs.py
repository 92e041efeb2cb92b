"""The picture of several runs' histories."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from PIL import Image

from alexnet.benchmarks.scripts.plot_runs import draw_runs
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The heights of the lines, as they are drawn."""
    heights: list[list[float]] = []
    plot = Axes.plot

    def remember(axis: Axes, x: list[int], y: list[float], **style: Any) -> object:
        heights.append(y)
        return plot(axis, x, y, **style)

    monkeypatch.setattr(Axes, "plot", remember)
    return heights


@pytest.mark.slow
def test_every_run_is_drawn_as_its_history_has_it(
    trained_run: RunFolder, tmp_path: Path, drawn: list[list[float]]
) -> None:
    out = tmp_path / "curves.png"
    draw_runs([trained_run, trained_run], out)
    history = trained_run.load_history()
    held_out = [record.val_accuracy for record in history]
    trained = [record.accuracy for record in history]
    assert drawn == [held_out, trained, held_out, trained]
    with Image.open(out) as picture:
        assert picture.format == "PNG"


def test_an_accuracy_of_0_is_drawn_and_one_that_lacks_is_a_gap(
    trained_run: RunFolder, tmp_path: Path, drawn: list[list[float]]
) -> None:
    first, second = trained_run.load_history()
    run = RunFolder(tmp_path / "run")
    run.save_config(trained_run.load_config())
    run.save_history(
        [replace(first, val_accuracy=0.0), replace(second, val_accuracy=None)]
    )
    draw_runs([run], tmp_path / "curves.png")
    assert drawn[0][0] == 0.0
    assert isnan(drawn[0][1])


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run in this folder"):
        draw_runs([RunFolder(tmp_path)], tmp_path / "curves.png")
