"""The picture of a made-up GPU's load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from alexnet.benchmarks.scripts.gpu.load_plot import _draw, draw_loads

ROW: dict[str, Any] = {
    "way": "ours",
    "steps": 20,
    "step_milliseconds": 12.345,
    "samples": [
        {"seconds": seconds, "busy_percent": busy, "used_bytes": 1}
        for seconds, busy in ((0.5, 30), (1.0, None), (1.5, 80))
    ],
}


def test_a_panel_shows_the_load_over_its_own_time() -> None:
    axis = Figure().subplots()
    _draw(axis, ROW)
    (line,) = axis.lines
    assert np.asarray(line.get_xydata()).tolist() == [[0.5, 30], [1.5, 80]]
    assert axis.get_title(loc="left") == "ours: 20 steps, 12.3 ms each"
    assert not axis.texts


def test_a_panel_without_figures_says_so() -> None:
    axis = Figure().subplots()
    _draw(axis, {"way": "theirs", "error": "it failed"})
    assert [text.get_text() for text in axis.texts] == ["no figures"]


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    draw_loads([ROW, {"way": "theirs"}], tmp_path / "load.png")
    with Image.open(tmp_path / "load.png") as image:
        assert (image.format, image.width) == ("PNG", 880)
