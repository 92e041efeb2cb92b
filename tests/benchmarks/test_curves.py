"""The picture of several runs' histories."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from PIL import Image

from benchmarks.curves import draw_runs
from model.run import RunFolder
from pipeline.errors import RunError


def test_every_run_is_drawn_as_its_history_has_it(
    trained_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[float]] = []
    plot = Axes.plot

    def remember(axis: Axes, x: list[int], y: list[float], **style: object) -> object:
        drawn.append(y)
        return plot(axis, x, y, **style)

    monkeypatch.setattr(Axes, "plot", remember)
    out = tmp_path / "curves.png"
    draw_runs([trained_run, trained_run], out)
    history = trained_run.load_history()
    held_out = [record.val_accuracy for record in history]
    trained = [record.accuracy for record in history]
    assert drawn == [held_out, trained, held_out, trained]
    with Image.open(out) as picture:
        assert picture.format == "PNG"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run in this folder"):
        draw_runs([RunFolder(tmp_path)], tmp_path / "curves.png")
