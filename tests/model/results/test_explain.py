"""Every image gets its picture, and what was said of it is the prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.model.results.explain import draw_explanation, explain
from alexnet.model.results.prediction import predict
from alexnet.model.training.run import RunFolder
from tests.conftest import smooth_photo


def test_each_image_has_a_picture_and_its_prediction(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    for number in range(2):
        (tmp_path / "photos" / str(number)).mkdir(parents=True)
        smooth_photo(number, 90, 80).save(tmp_path / "photos" / str(number) / "a.jpg")
    (tmp_path / "photos" / "broken.jpg").write_text("no photo")
    paths = sorted((tmp_path / "photos").rglob("*.jpg"))
    done: list[tuple[int, int]] = []
    report = explain(
        trained_run,
        paths,
        tmp_path / "out",
        progress=lambda *counts: done.append(counts),
    )
    assert (report.checkpoint, report.layer) == ("best", "relu5")
    assert done == [(1, 3), (2, 3), (3, 3)]
    expected = predict(trained_run, paths)
    first, second, broken = report.images
    assert "not an image" in str(broken.error) and broken.picture is None
    assert first.picture != second.picture
    said = expected.to_json()["predictions"]
    for image, prediction in zip((first, second), said, strict=False):
        assert image.class_name == prediction["class_name"]
        assert image.probability == pytest.approx(prediction["probability"], abs=1e-6)
        with Image.open(str(image.picture)) as picture:
            assert picture.width > 2 * picture.height


def test_a_network_without_places_has_one_map() -> None:
    lost = np.zeros((9, 9), np.float32)
    lost[0, 0] = 0.25
    picture = np.zeros((9, 9, 3))
    figure = draw_explanation(picture, None, lost, "title")
    assert [axis.get_title() for axis in figure.axes] == [
        "as the network sees it",
        "hidden, costs up to 25.0% (red)",
    ]
    assert len(draw_explanation(picture, lost, lost, "title").axes) == 3
