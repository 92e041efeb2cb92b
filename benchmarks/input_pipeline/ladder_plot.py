"""The ladder as a picture: a bar for every rung, a mark at its limit, the rivals below.

The scale is logarithmic: the rungs of one ladder lie factors of ten apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.benchmarks.input_pipeline.ladder import Rung, split_rungs
from alexnet.benchmarks.input_pipeline.report import BenchReport
from alexnet.benchmarks.machine import count_cpus
from alexnet.pipeline.pictures import legible, save_figure

COLORS = {"host": "C0", "device": "C1", "rival": "0.65"}
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
    """Write a PNG of the report's rungs, limits and rivals."""
    bars = ladder_bars(report)
    size = (8, 1.5 + INCHES_A_BAR * len(bars))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    _draw_rates(axis, bars)
    _draw_limits(axis, bars)
    _scale(axis, bars)
    axis.set_title(
        f"{report.settings.storage} records, reader {report.settings.reader},"
        f" batch {report.settings.batch_size}, {count_cpus(report.num_cpus)}"
    )
    save_figure(figure, out)


def ladder_bars(report: BenchReport) -> list[Bar]:
    """The host's rungs, the device's, then the rivals."""
    host, device = split_rungs(report.rungs)
    return [
        *(_rung_bar("host", rung, report) for rung in host),
        *(_rung_bar("device", rung, report) for rung in device),
        *(Bar("rival", name, rate) for name, rate in report.against.items()),
    ]


def _rung_bar(kind: str, rung: Rung, report: BenchReport) -> Bar:
    bar = Bar(kind, rung.stage, rung.images_per_second)
    share = report.shares.get(rung.stage)
    if share is None:
        return bar
    return bar._replace(limit_name=share.limit, limit=report.limits[share.limit])


def _draw_rates(axis: Axes, bars: list[Bar]) -> None:
    for kind in dict.fromkeys(bar.kind for bar in bars):
        places = [place for place, bar in enumerate(bars) if bar.kind == kind]
        rates = [bars[place].images_per_second for place in places]
        axis.barh(places, rates, color=COLORS[kind], label=kind)
    for place, bar in enumerate(bars):
        told = f"{bar.images_per_second:,.0f} "
        ends = (bar.images_per_second, place)
        axis.text(*ends, told, ha="right", va="center", color="white")


def _draw_limits(axis: Axes, bars: list[Bar]) -> None:
    known = [(bar.limit, place) for place, bar in enumerate(bars) if bar.limit]
    rates, places = [limit for limit, _ in known], [place for _, place in known]
    axis.scatter(rates, places, s=300, marker="|", color=LIMIT_COLOR, label="limit")
    for limit, place in known:
        told = f" {bars[place].limit_name}"
        axis.text(limit, place, told, va="center", color=LIMIT_COLOR, size="small")


def _scale(axis: Axes, bars: list[Bar]) -> None:
    rates = [bar.images_per_second for bar in bars]
    most = max(*rates, *(bar.limit for bar in bars))
    axis.set_xscale("log")
    axis.set_xlim(min(rates) / ROOM_LEFT, most * ROOM_RIGHT)
    axis.set_xlabel("images/s")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.set_yticks(range(len(bars)), [legible(bar.name) for bar in bars])
    axis.invert_yaxis()
    axis.legend(loc="lower right")
