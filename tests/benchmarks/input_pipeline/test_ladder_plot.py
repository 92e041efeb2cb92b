"""The picture: which bars there are, and what is drawn of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from alexnet.benchmarks.input_pipeline.ladder_plot import (
    Bar,
    draw_bars,
    draw_ladder,
    ladder_bars,
)
from tests.benchmarks.conftest import MADE_UP

BARS = [
    Bar("host", "shuffle", 1_000_000.0),
    Bar("host", "decode", 7_000.0, "jpeg decode", 10_000.0),
    Bar("device", "augment", 800.0, "augment alone", 1_000.0),
    Bar("loader", "plain", 6_000.0),
]


def test_bars_are_rungs_with_their_limits_and_then_loaders() -> None:
    assert ladder_bars(MADE_UP) == BARS


def test_bars_stand_in_their_order_and_limits_beside_them() -> None:
    axis: Axes = Figure().subplots()
    draw_bars(axis, BARS)
    bars: Any = axis.patches
    drawn = {bar.get_y() + bar.get_height() / 2: bar.get_width() for bar in bars}
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert {names[round(y)]: width for y, width in drawn.items()} == {
        "shuffle": 1_000_000.0,
        "decode": 7_000.0,
        "augment": 800.0,
        "plain": 6_000.0,
    }
    assert sorted(axis.get_legend_handles_labels()[1]) == [
        *("device", "host", "limit", "loader")
    ]
    marks = np.asarray(axis.collections[0].get_offsets()).tolist()
    assert marks == [[10_000.0, 1.0], [1_000.0, 2.0]]
    # The first rung is at the top, and nothing lies outside.
    bottom, top = axis.get_ylim()
    assert bottom > top
    low, high = axis.get_xlim()
    assert low < 800
    assert high > 1_000_000


def test_the_picture_is_a_whole_png(tmp_path: Path) -> None:
    draw_ladder(MADE_UP, tmp_path / "ladder.png")
    with Image.open(tmp_path / "ladder.png") as picture:
        assert picture.format == "PNG"
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["ladder.png"]
