"""The ladder as a picture: a bar for every rung, a mark at its limit, loaders below.

The scale is logarithmic: the rungs of one ladder lie factors of ten apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.benchmarks.input_pipeline.ladder import split_rungs
from alexnet.benchmarks.input_pipeline.report import BenchReport
from alexnet.pipeline.files import count
from alexnet.pipeline.pictures import legible, save_figure

COLORS = {"host": "C0", "device": "C1", "loader": "0.65"}
LIMIT_COLOR = "C3"
INCHES_A_BAR = 0.4
# Factors of room: for the slowest bar's figure, and for the names of the limits.
ROOM_LEFT, ROOM_RIGHT = 10, 20


class Bar(NamedTuple):
    """A named throughput, and its limit's where there is one."""

    kind: str
    name: str
    images_per_second: float
    limit_name: str = ""
    limit: float = 0.0


def draw_ladder(report: BenchReport, out: Path) -> None:
    """Write a PNG of the report's rungs, limits and loaders."""
    bars, settings = ladder_bars(report), report.settings
    size = (8, 1.5 + INCHES_A_BAR * len(bars))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    draw_bars(axis, bars)
    axis.set_title(
        f"{settings.storage} records, reader {settings.reader},"
        f" batch {settings.batch_size}, {count(report.num_cpus, 'CPU')}"
    )
    save_figure(figure, out)


def ladder_bars(report: BenchReport) -> list[Bar]:
    """The host's rungs, the device's, then the loaders."""
    bars = []
    for kind, rungs in zip(("host", "device"), split_rungs(report.rungs), strict=True):
        for rung in rungs:
            bar = Bar(kind, rung.stage, rung.images_per_second)
            if share := report.shares.get(rung.stage):
                limit = report.limits[share.limit]
                bar = bar._replace(limit_name=share.limit, limit=limit)
            bars.append(bar)
    return bars + [Bar("loader", name, rate) for name, rate in report.against.items()]


def draw_bars(axis: Axes, bars: list[Bar]) -> None:
    """Draw the first bar on top, its figure in it and its limit's name beside it."""
    kinds = [bar.kind for bar in bars]
    for place, bar in enumerate(bars):
        _draw_bar(axis, place, bar, is_first=place == kinds.index(bar.kind))
    marks = [(bar.limit, place) for place, bar in enumerate(bars) if bar.limit]
    limits, places = zip(*marks, strict=True) if marks else ((), ())
    axis.scatter(limits, places, s=300, marker="|", color=LIMIT_COLOR, label="limit")
    rates = [bar.images_per_second for bar in bars]
    axis.set_xscale("log")
    axis.set_xlim(min(rates) / ROOM_LEFT, max(*rates, *limits) * ROOM_RIGHT)
    axis.set_xlabel("images/s")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.set_yticks(range(len(bars)), [legible(bar.name) for bar in bars])
    axis.invert_yaxis()
    axis.legend(loc="lower right")


def _draw_bar(axis: Axes, place: int, bar: Bar, is_first: bool) -> None:
    """Draw a bar; the first of its kind stands in the legend."""
    label, rate = bar.kind if is_first else None, bar.images_per_second
    axis.barh(place, rate, color=COLORS[bar.kind], label=label)
    axis.text(rate, place, f"{rate:,.0f} ", ha="right", va="center", color="white")
    if bar.limit:
        name = f" {bar.limit_name}"
        axis.text(bar.limit, place, name, va="center", color=LIMIT_COLOR, size="small")
