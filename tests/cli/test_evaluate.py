"""`alexnet evaluate`: figures first, whatever the folders can hold."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.cli.evaluate import MOST_ROWS, _print_classes
from alexnet.model.results.scores import Scores
from tests.cli.conftest import (
    IMAGE_SIZE,
    STORED_SIDE,
    alexnet,
    alexnet_json,
    failure,
)

Trained = tuple[Path, dict[str, Any]]


def test_evaluate_json(trained: Trained) -> None:
    run, fitted = trained
    found = alexnet_json("evaluate", run, "--checkpoint", "last")
    assert (found["checkpoint"], found["epoch"]) == ("last", 2)
    assert found["split"] == "validation"
    assert found["own_records"] is True
    assert found["note"] is None
    assert found["num_examples"] == 6
    assert found["class_names"] == ["cat", "dog"]
    assert found["top5"] is None
    confusion = found["confusion"]
    assert [sum(row) for row in confusion] == [3, 3]
    assert found["top1"] == pytest.approx((confusion[0][0] + confusion[1][1]) / 6)
    # The last checkpoint's figures are those of the last epoch.
    assert found["loss"] == pytest.approx(fitted["validation"]["loss"], rel=1e-5)
    assert found["top1"] == pytest.approx(fitted["validation"]["accuracy"])
    assert (run / "confusion-validation.png").is_file()


def test_the_best_checkpoint_is_used_and_named(trained: Trained) -> None:
    rows = list(csv.DictReader((trained[0] / "history.csv").read_text().splitlines()))
    accuracies = [float(row["val_accuracy"]) for row in rows]
    best = 1 + accuracies.index(max(accuracies))
    found = alexnet_json("evaluate", trained[0])
    assert (found["checkpoint"], found["epoch"]) == ("best", best)
    assert found["top1"] == pytest.approx(max(accuracies))
    ended = alexnet("evaluate", trained[0])
    assert ended.code == 0
    assert f"validation, 6 examples, best checkpoint, epoch {best}" in ended.out
    assert "precision" in ended.out
    assert "rows: true, columns: predicted" in ended.out
    assert "confusion-validation.png" in ended.err


@pytest.fixture
def locked_run(trained: Trained, tmp_path: Path) -> Path:
    """A run in whose folder no picture can be written, not even by root."""
    run = Path(shutil.copytree(trained[0], tmp_path / "run"))
    for name in ("confusion-validation", "curves"):
        picture = run / f"{name}.png"
        picture.unlink(missing_ok=True)
        picture.mkdir()
    return run


@pytest.mark.slow
def test_figures_are_told_though_their_picture_cannot_be_written(
    locked_run: Path, tmp_path: Path
) -> None:
    ended = alexnet("evaluate", locked_run, "--json")
    assert ended.code == 0
    assert ended.json["num_examples"] == 6
    assert f"confusion not drawn: {locked_run}: Is a directory; --out DIR" in ended.err

    out = tmp_path / "new" / "pictures"
    ended = alexnet("evaluate", locked_run, "--out", out)
    assert ended.code == 0
    assert [path.name for path in out.iterdir()] == ["confusion-validation.png"]
    assert f"confusion drawn: {out / 'confusion-validation.png'}" in ended.err

    (tmp_path / "file").touch()
    ended = alexnet("evaluate", locked_run, "--out", tmp_path / "file" / "x", "--json")
    assert ended.code == 1
    assert ended.json["num_examples"] == 6
    assert "Not a directory" in ended.err


@pytest.mark.slow
def test_other_commands_work_from_a_folder_that_takes_no_pictures(
    locked_run: Path, photos: Path, tmp_path: Path
) -> None:
    assert alexnet("predict", locked_run, photos / "cat").code == 0
    drawn = alexnet_json("plot", locked_run, "--out", tmp_path / "pictures")
    assert all(Path(picture).is_file() for picture in drawn["pictures"])
    assert str(locked_run / "curves.png") in failure("plot", locked_run)


@pytest.mark.slow
def test_other_records_are_refused_until_they_are_named(
    photos: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--side", STORED_SIDE, "--workers", 1)
    alexnet_json("records", "build", photos, "--out", "set", *words)
    small = ("--width", 0.05, "--image-size", IMAGE_SIZE, "--batch-size", 8)
    alexnet_json("fit", "set", "--run", "run", "--epochs", 1, *small)
    again = ("--overwrite", "--seed", 5, *words)
    alexnet_json("records", "build", photos, "--out", "set", *again)
    message = failure("evaluate", "run")
    assert message.startswith("these are other records than the run's")
    assert f"`alexnet evaluate run {tmp_path / 'set'}`" in message
    assert len(message.splitlines()) == 1
    assert "these are other records" in failure("plot", "run", "--out", "pictures")

    found = alexnet_json("evaluate", "run", "set", "--batch-size", 5)
    assert (found["split"], found["num_examples"]) == ("all", 24)
    assert found["own_records"] is False
    assert "other records than the run's" in found["note"]
    ended = alexnet("evaluate", "run", "set")
    assert "all, 24 examples" in ended.out
    assert "\nall: these are other records than the run's" in ended.out
    part = alexnet_json("evaluate", "run", "set", "--split", "train")
    assert (part["split"], part["num_examples"]) == ("train", 18)


def test_the_confusion_as_a_file(trained: Trained, tmp_path: Path) -> None:
    table = tmp_path / "confusion.csv"
    found = alexnet_json("evaluate", trained[0], "--confusion", table)
    matrix = {"cat": {"cat": 0, "dog": 0}, "dog": {"cat": 0, "dog": 0}}
    for row in csv.DictReader(table.read_text().splitlines()):
        matrix[row["true"]][row["predicted"]] = int(row["count"])
    assert [list(row.values()) for row in matrix.values()] == found["confusion"]


def test_of_many_classes_the_worst_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of 200 classes 100 are met, class n being right n times in a hundred."""
    scores = Scores(tuple(f"c{number}" for number in range(200)))
    for number in range(100):
        right = np.arange(100) < number
        guesses = np.where(right, number, 150)
        scores.add(np.full(100, number), np.eye(200, dtype=np.float32)[guesses])
    _print_classes("title", scores)
    printed = capsys.readouterr().out
    names = [line.split()[1] for line in printed.splitlines() if "100 │" in line]
    assert names == [f"c{number}" for number in range(MOST_ROWS)]
    assert "the 40 of 200 classes with the lowest F1; --json has all" in printed
