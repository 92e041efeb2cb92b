"""`alexnet predict`: a line an image, what failed, and the summary last."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from alexnet.cli.predict import _summary
from alexnet.model.results.prediction import Prediction, PredictionReport
from tests.cli.conftest import alexnet

Trained = tuple[Path, dict[str, Any]]


def test_predict_json_names_what_failed_and_does_the_rest(
    photos: Path, trained: Trained, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("not a photo")
    images = (photos / "dog" / "01.jpg", broken, photos / "cat" / "00.jpg")
    table = tmp_path / "submission.csv"
    ended = alexnet("predict", trained[0], *images, "--json", "--csv", table)
    assert ended.code == 1
    assert f"{broken}: " in ended.err
    last_line = ended.err.splitlines()[-1]
    assert re.fullmatch(
        r"3 images: (\d (cat|dog), )+1 failed; best checkpoint, epoch \d", last_line
    )
    assert "Traceback" not in ended.err
    good, bad, last = ended.json["predictions"]
    assert set(bad) == {"image", "error"}
    assert [one["image"] for one in (good, bad, last)] == [str(x) for x in images]
    for one in (good, last):
        assert set(one["probabilities"]) == {"cat", "dog"}
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert one["probability"] == max(one["probabilities"].values())
        assert one["probabilities"][one["class_name"]] == one["probability"]
    rows = list(csv.reader(table.read_text().splitlines()))
    assert [row[0] for row in rows] == ["id", "01", "00"]
    assert float(rows[1][1]) == good["probabilities"]["dog"]


def test_predict_takes_folders(photos: Path, trained: Trained) -> None:
    ended = alexnet("predict", trained[0], photos / "cat", "--top-k", 1)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert len(lines) == 12
    assert re.fullmatch(rf"{photos / 'cat' / '00.jpg'}: (cat|dog) \d+\.\d%", lines[0])


def test_predict_names_an_image_that_is_missing_and_does_the_rest(
    trained: Trained, tmp_path: Path
) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.jpg")
    gone = tmp_path / "gone.jpg"
    ended = alexnet("predict", trained[0], gone, tmp_path / "a.jpg", "--json")
    assert ended.code == 1
    failed, predicted = ended.json["predictions"]
    assert failed == {"image": str(gone), "error": "No such file or directory"}
    assert predicted["image"] == str(tmp_path / "a.jpg")


def test_the_summary_names_a_few_classes() -> None:
    names = tuple(f"c{number}" for number in range(9))

    def said(label: int) -> Prediction:
        return Prediction("x", "x", tuple(float(i == label) for i in range(9)))

    labels = [0] * 9 + [1] * 8 + [2] * 7 + [3] * 6 + [4] * 5 + [5] * 4 + [6] * 3
    report = PredictionReport("last", 7, names, tuple(map(said, labels)))
    assert _summary(report) == (
        "42 images: 9 c0, 8 c1, 7 c2, 6 c3, 5 c4, 7 of 2 other classes;"
        " last checkpoint, epoch 7"
    )
    bad = Prediction("x", "x", error="empty file")
    one = PredictionReport("last", 7, names, (bad,))
    assert _summary(one) == "1 image: 1 failed; last checkpoint, epoch 7"
