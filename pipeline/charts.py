"""Charts as inline SVG: small, sharp at any size, in the colours of their page.

A page may set the custom properties --c0 to --c5 and --grid; without them the colours
are fit for a white ground and a black one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 26, 38
COLORS = ("#3b76c2", "#d9712b", "#3d9a5f", "#b0487f", "#8a6fc0", "#8c8c3a")
GRID = "stroke:var(--grid,#8884)"
# More points than that say nothing more at this size.
MOST_POINTS = 200

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A named line: points by x, of which gaps have been left out."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Bar:
    """A bar from `left` to `right`, as high as its value, with a word on it."""

    left: float
    right: float
    height: float
    note: str


@dataclass(frozen=True)
class Axes:
    """The ranges of a chart, and where a value lies in it."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> Point:
        """The point of the picture, from its upper left corner."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    def draw(self, x_label: str, y_label: str, whole: bool = False) -> str:
        """Grid lines and their numbers; `whole` numbers alone on the x axis."""
        parts = []
        for value in ticks(*self.y):
            (left, height), (right, _) = (
                self.place(self.x[0], value),
                self.place(self.x[1], value),
            )
            parts.append(_line(left, height, right, height, GRID))
            parts.append(_text(left - 6, height + 4, f"{value:g}", "end"))
        for value in ticks(*self.x, most=8):
            if not whole or value == int(value):
                across, bottom = self.place(value, self.y[0])
                parts.append(_text(across, bottom + 16, f"{value:g}", "middle"))
        parts.append(_text(WIDTH - RIGHT, HEIGHT - 4, x_label, "end"))
        return "".join([*parts, _text(0, 12, y_label)])


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    mark: tuple[float, str] | None = None,
) -> str:
    """Lines over whole numbers, such as epochs; `mark` is an x with a word at it."""
    points = [point for line in series for point in line.points]
    if not points:
        return ""
    axes = Axes(_range([x for x, _ in points]), _range([y for _, y in points]))
    parts = [axes.draw(x_label, y_label, whole=True)]
    if mark:
        (across, bottom), (_, top) = (axes.place(mark[0], y) for y in axes.y)
        style = "stroke:currentColor;stroke-dasharray:3 3;opacity:.6"
        parts.append(_line(across, bottom, across, top, style))
        side = "end" if across > WIDTH / 2 else "start"
        shift = -5 if side == "end" else 5
        parts.append(_text(across + shift, top - 4, mark[1], side))
    for number, line in enumerate(series):
        parts.append(_draw_series(axes, line, _color(number), x_label))
    return _svg(parts, f"{y_label} over {x_label}") + legend(series)


def legend(series: Sequence[Series]) -> str:
    """The lines' names, each behind a stroke of its colour."""
    names = "".join(
        f'<span style="white-space:nowrap;margin-right:1em">'
        f'<span style="color:{_color(number)}">━</span> {escape(line.name)}</span>'
        for number, line in enumerate(series)
    )
    return f'<div style="font-size:13px">{names}</div>'


def bar_chart(bars: Sequence[Bar], x_label: str, y_label: str) -> str:
    """Bars between 0 and 1, and the diagonal, on which they end where x and y agree."""
    axes = Axes((0, 1), (0, 1))
    parts = [axes.draw(x_label, y_label)]
    for bar in bars:
        (left, top), (right, bottom) = (
            axes.place(bar.left, bar.height),
            axes.place(bar.right, 0),
        )
        parts.append(
            f'<rect x="{left + 1:g}" y="{top:g}" width="{right - left - 2:.1f}"'
            f' height="{bottom - top:.1f}" style="fill:{_color(0)}">'
            f"<title>{escape(bar.note)}</title></rect>"
        )
    style = "stroke:currentColor;stroke-dasharray:3 3"
    parts.append(_line(*axes.place(0, 0), *axes.place(1, 1), style))
    return _svg(parts, f"{y_label} over {x_label}")


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, with at most so many steps between them."""
    span = high - low
    power = 10 ** math.floor(math.log10(span / most))
    step = next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.03 or max(abs(high), 1) * 0.1
    return low - room, high + room


def _draw_series(axes: Axes, line: Series, color: str, x_label: str) -> str:
    points = line.points[:: 1 + len(line.points) // MOST_POINTS]
    if line.points and points[-1] != line.points[-1]:
        points = [*points, line.points[-1]]
    places = [axes.place(*point) for point in points]
    path = " ".join(f"{x:g},{y:g}" for x, y in places)
    dots = "".join(
        f'<circle cx="{place[0]:g}" cy="{place[1]:g}" r="2.5" style="fill:{color}">'
        f"<title>{escape(line.name)}, {x_label} {x:g}: {y:.4g}</title></circle>"
        for place, (x, y) in zip(places, points, strict=True)
    )
    style = f"fill:none;stroke:{color};stroke-width:1.8"
    return f'<polyline points="{path}" style="{style}"/>{dots}'


def _color(number: int) -> str:
    number %= len(COLORS)
    return f"var(--c{number},{COLORS[number]})"


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" style="{style}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
        ' style="width:100%;max-width:560px;font:12px system-ui,sans-serif;'
        f'fill:currentColor">{"".join(parts)}</svg>'
    )
