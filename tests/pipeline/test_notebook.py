"""What shows itself in a notebook: small tables of plain text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from alexnet.model.results.evaluation import evaluate
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.notebook import MOST_ROWS, html_table
from alexnet.pipeline.read.opened_records import open_records


def cells(html: str) -> list[list[str]]:
    root = ET.fromstring(f"<div>{html}</div>")
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


def shown(result: Any) -> str:
    html: str = result._repr_html_()
    assert len(html) < 20_000
    return html


def test_texts_are_escaped_and_rows_are_few() -> None:
    rows = [[f"<{number}>", number, 0.5] for number in range(MOST_ROWS + 1500)]
    html = html_table("a & b", ["<name>", "n", "x"], rows)
    first, second, *_ = lines = cells(html)
    assert first == ["<name>", "n", "x"] and second == ["<0>", "0", "0.5000"]
    assert len(lines) == MOST_ROWS + 1
    assert "and 1,500 more" in html and "a &amp; b" in html


def test_records_show_their_splits(record_sets: dict[str, Path]) -> None:
    html = shown(open_records(record_sets["raw"]))
    assert cells(html) == [
        ["class", "train", "validation"],
        ["all", "18", "6"],
        ["cat", "9", "3"],
        ["dog", "9", "3"],
    ]


def test_a_run_shows_its_epochs(trained_run: RunFolder, tmp_path: Path) -> None:
    history = trained_run.load_history()
    html = shown(trained_run)
    assert [row[:2] for row in cells(html)][-1] == ["last", "2"]
    assert "<svg" in html
    assert cells(shown(FitReport(trained_run.path, tuple(history)))) == cells(html)
    assert "<svg" not in shown(RunFolder(tmp_path))
    (tmp_path / "history.csv").write_text("epoch\nx\n")
    assert "is damaged" in shown(RunFolder(tmp_path))


def test_an_evaluation_shows_its_classes(trained_run: RunFolder) -> None:
    report = evaluate(trained_run)
    header, cat, dog = cells(shown(report))
    assert header[0] == "class" and (cat[0], dog[0]) == ("cat", "dog")
    assert cat[3] == f"{report.scores.per_class()[0].f1:.4f}"
