"""Bars in a notebook's kernel, and their absence elsewhere."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from alexnet.model.training.metrics import Metrics
from alexnet.model.training.notebook_progress import NotebookProgress, default_progress
from alexnet.model.training.progress import Progress
from alexnet.pipeline import notebook_bar
from alexnet.pipeline.notebook_bar import NotebookBar, in_notebook, notebook_progress
from tests.model.sweep.stand_in import record

ROOT = Path(__file__).parents[2]
CELL = """
from alexnet.pipeline.notebook_bar import notebook_progress
show = notebook_progress("building", "<images>")
for done in range(0, 1001):
    show(done, 1000)
"""


def test_a_cell_shows_one_bar_at_its_end() -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cell = nbformat.v4.new_code_cell(CELL)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    (output,) = cell.outputs
    drawn = ET.fromstring(output.data["text/html"])
    assert "".join(drawn.itertext()).startswith("building  1,000 of 1,000 <images>")
    bar = drawn.find("progress")
    assert bar is not None and bar.attrib == {"value": "1000", "max": "1000"}


def test_nothing_is_shown_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert not in_notebook()
    notebook_progress("building", "images")(1, 2)
    assert type(default_progress()) is Progress
    assert capsys.readouterr() == ("", "")


def test_a_training_shows_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, int, str]] = []
    monkeypatch.setattr(NotebookBar, "_draw", lambda self, *shown: drawn.append(shown))
    monkeypatch.setattr(notebook_bar, "SECONDS", 0.0)
    progress = NotebookProgress()
    progress.start(0, 20)
    progress.step(1, Metrics(0.75, 0.5, 1, 0))
    progress.epoch(record(0.2, 10, 20), 20, "")
    progress.step(11, Metrics(0.5, 0.75, 1, 0))
    assert drawn == [
        (0, 20, ""),
        (1, 20, "loss 0.750, accuracy 0.500"),
        (10, 20, "loss 0.700, accuracy 0.500; validation accuracy 0.400, epoch 10"),
        (11, 20, "loss 0.500, accuracy 0.750; validation accuracy 0.400, epoch 10"),
    ]
