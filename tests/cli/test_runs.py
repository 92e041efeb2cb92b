"""`alexnet runs`: runs side by side, in an order, and folders that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alexnet.model.training.history import EpochRecord, write_history
from tests.cli.conftest import alexnet, alexnet_json, failure


@pytest.fixture
def folder(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A folder of runs: `a` with epochs of 0.5, 0.75, 0.7, `below/b` with 0.6 alone.

    `c` has no finished epoch, `d` no validation; `e` is damaged, `notes` no run.
    """
    config = json.loads((trained[0] / "config.json").read_text())
    runs: list[tuple[str, float, list[float | None]]] = [
        ("a", 0.1, [0.5, 0.75, 0.7]),
        ("below/b", 0.01, [0.6]),
        ("c", 0.1, []),
        ("d", 0.1, [None]),
        ("e", 0.1, [0.9]),
    ]
    for name, rate, accuracies in runs:
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        config["train"] |= {"learning_rate": rate, "seed": 5}
        (run / "config.json").write_text(json.dumps(config))
        if accuracies:
            history = [
                EpochRecord(n, n, 0.1, 0.7, 0.5, x, x, 100.0 * n, 0.0, 2.0)
                for n, x in enumerate(accuracies, 1)
            ]
            write_history(run / "history.csv", history)
    (tmp_path / "runs" / "e" / "config.json").write_text("{}")
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "a" / "logs").mkdir()
    return tmp_path / "runs"


def test_runs_json(folder: Path) -> None:
    found = alexnet_json("runs", folder)["runs"]
    assert found[:2] == [
        {
            "run": str(folder / "a"),
            "epochs": 3,
            "best": {"epoch": 2, "accuracy": 0.75},
            "last": {"epoch": 3, "accuracy": 0.7},
            "images_per_second": pytest.approx(200),
            "settings": {"learning_rate": 0.1},
        },
        {
            "run": str(folder / "below" / "b"),
            "epochs": 1,
            "best": {"epoch": 1, "accuracy": 0.6},
            "last": {"epoch": 1, "accuracy": 0.6},
            "images_per_second": 100.0,
            "settings": {"learning_rate": 0.01},
        },
    ]
    unfinished, unvalidated = found[2:]
    assert unfinished["run"] == str(folder / "c")
    figures = ("best", "last", "images_per_second")
    assert [unfinished[name] for name in figures] == [None] * 3
    assert unvalidated["best"] is None
    assert unvalidated["last"] == {"epoch": 1, "accuracy": None}


@pytest.mark.parametrize(
    ("order", "names"),
    [("best", "abcd"), ("last", "abcd"), ("speed", "abdc"), ("name", "abcd")],
)
def test_runs_are_sorted(folder: Path, order: str, names: str) -> None:
    found = alexnet_json("runs", folder, "--sort", order)["runs"]
    assert "".join(Path(run["run"]).name for run in found) == names


def test_runs_for_people(folder: Path) -> None:
    ended = alexnet("runs", folder)
    assert ended.code == 0
    (line,) = (line for line in ended.out.splitlines() if "below/b" in line)
    for word in ("1", "0.6000 (1)", "100", "0.01"):
        assert f" {word} " in line
    assert f"passed over: {folder / 'notes'}: no run in it" in ended.err
    assert f"passed over: {folder / 'e'}: {folder / 'e'}/config.json is" in ended.err
    assert str(folder / "a" / "logs") not in ended.out + ended.err


def test_a_single_run_differs_from_none(folder: Path) -> None:
    (run,) = alexnet_json("runs", folder / "a")["runs"]
    assert run["run"] == str(folder / "a")
    assert run["settings"] == {}
    table = alexnet("runs", folder / "a").out.splitlines()
    assert [row.split()[1] for row in table if "0.7500 (2)" in row] == ["a"]


def test_no_runs_are_no_error_and_no_folder_is(folder: Path) -> None:
    assert alexnet("runs", folder / "notes").out == f"no runs in {folder / 'notes'}\n"
    assert alexnet_json("runs", folder / "notes") == {"runs": []}
    gone = failure("runs", folder / "gone")
    assert (
        gone
        == f"no such folder: {folder / 'gone'}. Expected one with run folders in it."
    )
