"""A chart is sound SVG, and what is more lies higher."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from alexnet.pipeline.charts import (
    MOST_POINTS,
    Bar,
    Series,
    bar_chart,
    line_chart,
    ticks,
)


def elements(chart: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(f"<div>{chart}</div>").iter(tag))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.47, 0.545, [0.48, 0.5, 0.52, 0.54]),
        (-1, 101, [0, 20, 40, 60, 80, 100]),
        (0.9, 12.1, [2, 4, 6, 8, 10, 12]),
        (1e-7, 1.1e-6, [2e-7, 4e-7, 6e-7, 8e-7, 1e-6]),
    ],
)
def test_ticks_are_round_and_inside(
    low: float, high: float, expected: list[float]
) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    "span", [10**power * 1.1**n for power in (-9, 0, 9) for n in range(25)]
)
def test_any_span_has_a_few_ticks(span: float) -> None:
    assert 2 <= len(ticks(3 * span, 4 * span)) <= 7


def test_points_lie_where_their_values_say() -> None:
    values = [(1, 0.5), (2, 0.9), (4, 0.1)]
    chart = line_chart([Series("a", values)], "epoch", "accuracy")
    places = [
        (float(dot.attrib["cx"]), float(dot.attrib["cy"]))
        for dot in elements(chart, "circle")
    ]
    (x1, y1), (x2, y2), (x4, y4) = places
    assert (x4 - x2) == pytest.approx(2 * (x2 - x1), abs=0.2)
    assert (y4 - y1) == pytest.approx(y1 - y2, abs=0.2) and y4 > y1 > y2
    titles = [title.text for title in elements(chart, "title")]
    assert titles == ["a, epoch 1: 0.5", "a, epoch 2: 0.9", "a, epoch 4: 0.1"]


def test_names_of_users_are_text() -> None:
    chart = line_chart([Series("<b>&", [(1, 1.0)])], "epoch", "loss", (1, "<best>"))
    texts = [text.text for text in elements(chart, "text")]
    assert "<best>" in texts and "<b>&" in "".join(elements(chart, "div")[0].itertext())


def test_one_point_and_no_spread_are_drawn_and_nothing_is_nothing() -> None:
    assert elements(line_chart([Series("a", [(1, 0.0), (2, 0.0)])], "x", "y"), "svg")
    assert elements(line_chart([Series("a", [(1, 3.0)])], "x", "y"), "svg")
    assert line_chart([Series("a", [])], "x", "y") == ""


def test_a_long_history_is_thinned_and_keeps_its_ends() -> None:
    points = [(x, float(x)) for x in range(5000)]
    chart = line_chart([Series("a", points)], "epoch", "loss")
    titles = [str(title.text) for title in elements(chart, "title")]
    assert len(titles) <= MOST_POINTS + 1
    assert titles[0].endswith(" 0: 0") and titles[-1].endswith(" 4999: 4999")


def test_bars_reach_their_height() -> None:
    chart = bar_chart([Bar(0.0, 0.5, 1.0, "all"), Bar(0.5, 1, 0.25, "<few>")], "x", "y")
    whole, quarter = (float(bar.attrib["height"]) for bar in elements(chart, "rect"))
    assert quarter == pytest.approx(whole / 4, abs=0.2)
    assert [title.text for title in elements(chart, "title")] == ["all", "<few>"]
    assert not re.search("nan|inf", chart.replace("system-ui", ""))
