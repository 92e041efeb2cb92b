"""GPUs left to a training: by commands that need none, and by those that need one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from alexnet.benchmarks import estimate, train_step
from alexnet.benchmarks.input_pipeline import input_pipeline
from alexnet.model.network import summary
from alexnet.model.report import report
from alexnet.model.results import evaluation
from alexnet.model.training import training
from alexnet.pipeline.inspect import contact_sheet
from tests.cli.conftest import alexnet

Built = tuple[Path, dict[str, Any]]
Trained = tuple[Path, dict[str, Any]]
ROOT = Path(__file__).parents[2]
# Command lines in a process that cannot import TensorFlow.
WITHOUT = """
import json, sys
from alexnet.cli.main import main
sys.modules["tensorflow"] = None
for words in json.loads(sys.argv[1]):
    assert main(words) == 0
"""


class Begun(Exception):
    """The command is at work now."""


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a command has made of the GPUs before it does anything else with them."""
    found: list[str] = []

    def note(what: str) -> Any:
        return lambda *_: found.append(what)

    monkeypatch.setattr(tf.config, "set_visible_devices", note("hides"))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", note("shares"))
    yield found


@pytest.mark.parametrize(
    ("words", "module", "name", "expected"),
    [
        ("summary", summary, "summarize", "hides"),
        ("records show RECORDS --out SHEET", contact_sheet, "draw_sheet", "hides"),
        ("records estimate PHOTOS", estimate, "run_estimate", "hides"),
        ("records estimate PHOTOS --train-step", estimate, "run_estimate", "shares"),
        ("bench input-pipeline RECORDS", training, "make_train_step", "shares"),
        (
            *("bench input-pipeline RECORDS --no-train-step", input_pipeline),
            *("run_bench", "shares"),
        ),
        ("bench train-step", train_step, "run_train_step", "shares"),
        ("evaluate RUN", evaluation, "build_run_network", "shares"),
        ("predict RUN PHOTOS", evaluation, "build_run_network", "shares"),
        ("export RUN SHEET", evaluation, "build_run_network", "shares"),
        ("plot RUN", evaluation, "build_run_network", "shares"),
        ("explain RUN PHOTOS", evaluation, "build_run_network", "shares"),
        ("report RUN", report, "write_report", "shares"),
    ],
)
def test_memory_is_left_to_a_training_beside_it(
    words: str,
    module: Any,
    name: str,
    expected: str,
    notes: list[str],
    built: Built,
    trained: Trained,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def begin(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr(module, name, begin)
    places = {"RECORDS": built[0], "RUN": trained[0], "PHOTOS": photos}
    places["SHEET"] = tmp_path / "sheet.png"
    with pytest.raises(Begun):
        alexnet(*(places.get(word, word) for word in words.split()))
    assert notes == [expected]


def test_what_needs_no_tensorflow_never_loads_it(photos: Path, tmp_path: Path) -> None:
    records = str(tmp_path / "records")
    build = ["records", "build", str(photos), "--out", records, "--side", "16"]
    lines = [build, ["records", "info", records], ["records", "verify", records]]
    command = [sys.executable, "-c", WITHOUT, json.dumps(lines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
