"""What is drawn is what was found, and it is a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import model.plots
from model.evaluation import Predictions, make_report
from model.plots import (
    _images_at,
    confidence,
    plot_confusion,
    plot_curves,
    plot_examples,
    plot_filters,
    plot_run,
    worst_mistakes,
)
from model.run import EpochRecord, RunFolder
from pipeline.config import ReadConfig
from pipeline.dataset import eval_dataset
from pipeline.errors import RunError
from pipeline.reader import open_records
from tests.conftest import NUM_HELD_OUT

HISTORY = [
    EpochRecord(1, 5, 0.1, 0.7, 0.5, 0.6, 0.55, 1.0, 0.0, 1.0),
    EpochRecord(2, 10, 0.1, 0.5, 0.75, 0.65, 0.6, 1.0, 0.0, 1.0),
    EpochRecord(3, 15, 0.1, 0.25, 0.875, 0.4, 0.7, 1.0, 0.0, 1.0),
]
RNG = np.random.default_rng(3)
FOUND = Predictions(RNG.integers(0, 3, 30), RNG.normal(size=(30, 3)))
NAMES = ("cat", "dog", "owl")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures, in place of their files."""
    figures: list[Figure] = []
    monkeypatch.setattr(model.plots, "_save", lambda figure, _: figures.append(figure))
    return figures


def require_picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert 50 <= min(image.size) <= max(image.size) <= 3000
        # Something is drawn: more than one colour.
        assert len(set(image.convert("L").getdata())) > 10


def test_the_confusion_of_very_many_classes(tmp_path: Path) -> None:
    rng, classes = np.random.default_rng(4), 600
    found = Predictions(rng.integers(0, classes, 900), rng.normal(size=(900, classes)))
    names = tuple(f"class {number}" for number in range(classes))
    plot_confusion(make_report(found, "all", 1, names), tmp_path / "confusion.png")
    require_picture(tmp_path / "confusion.png")


def test_every_picture_of_a_run(trained_run: RunFolder, tmp_path: Path) -> None:
    paths = plot_run(trained_run, tmp_path / "new" / "out")
    names = ["curves", "filters", "confusion", "predictions", "mistakes"]
    assert [path.name for path in paths] == [f"{name}.png" for name in names]
    for path in paths:
        require_picture(path)
    assert {path.name for path in paths[0].parent.iterdir()} == {
        path.name for path in paths
    }


def test_a_run_without_an_epoch_is_refused(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.save_config(trained_run.load_config())
    with pytest.raises(RunError, match="no finished epoch"):
        plot_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_curves_are_the_history(drawn: list[Figure], tmp_path: Path) -> None:
    plot_curves(HISTORY, tmp_path / "curves.png")
    accuracy, loss = drawn[0].axes
    for axis, name in ((accuracy, "accuracy"), (loss, "loss")):
        assert axis.get_ylabel() == name
        train, held_out = axis.get_lines()
        for line, field in ((train, name), (held_out, f"val_{name}")):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            expected = [getattr(record, field) for record in HISTORY]
            np.testing.assert_array_equal(line.get_ydata(), expected)
        assert "validation" in str(held_out.get_label())


def test_curves_without_validation(drawn: list[Figure], tmp_path: Path) -> None:
    record = EpochRecord(1, 5, 0.1, 0.7, 0.5, None, None, 1.0, 0.0, 1.0)
    plot_curves([record], tmp_path / "curves.png")
    assert [len(axis.get_lines()) for axis in drawn[0].axes] == [1, 1]


def test_the_confusions_counts_and_shares(drawn: list[Figure], tmp_path: Path) -> None:
    report = make_report(FOUND, "validation", 1, NAMES)
    plot_confusion(report, tmp_path / "confusion.png")
    (axis,) = drawn[0].axes
    counts = np.zeros((3, 3), int)
    for text in axis.texts:
        column, row = map(int, text.get_position())
        counts[row, column] = int(text.get_text())
    np.testing.assert_array_equal(counts, report.confusion)
    shares = axis.get_images()[0].get_array()
    expected = report.confusion / report.confusion.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(shares), expected)
    assert [tick.get_text() for tick in axis.get_yticklabels()] == list(NAMES)
    assert f"{report.top1:.1%}" in axis.get_title()


def test_filters_are_scaled_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pictures: list[np.ndarray] = []
    monkeypatch.setattr(
        model.plots, "save_grid", lambda images, *_, **__: pictures.append(images)
    )
    kernel = RNG.normal(size=(11, 11, 3, 8)) * np.arange(8)  # the first is flat
    plot_filters(kernel, tmp_path / "filters.png")
    assert pictures[0].shape == (8, 11, 11, 3)
    assert pictures[0].dtype == np.uint8
    np.testing.assert_array_equal(pictures[0][0], 0)
    for number in range(1, 8):
        one = kernel[..., number]
        expected = 255 * (one - one.min()) / (one.max() - one.min())
        np.testing.assert_allclose(pictures[0][number], expected, atol=1)


def test_confidence_and_the_worst_mistakes() -> None:
    odds = np.exp(FOUND.logits)
    odds /= odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(confidence(FOUND), odds.max(axis=1))
    wrong = [i for i in range(30) if odds[i].argmax() != FOUND.labels[i]]
    expected = sorted(wrong, key=lambda i: -odds[i].max())
    assert 5 < len(expected) < 30
    np.testing.assert_array_equal(worst_mistakes(FOUND), expected)


def test_the_pictures_beside_the_titles(train_records: Path) -> None:
    records = open_records(train_records)
    dataset = eval_dataset(records, ReadConfig(NUM_HELD_OUT))
    images = next(iter(dataset))[0].numpy()
    rows = np.array([7, 0, 3])
    np.testing.assert_array_equal(_images_at(records, "validation", rows), images[rows])


def test_titles_say_the_truth_then_the_guess(
    train_records: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(
        model.plots, "save_grid", lambda _, names, *__: titles.extend(names)
    )
    found = Predictions(np.array([0, 1]), np.log([[0.25, 0.75], [0.1, 0.9]]))
    records, rows = open_records(train_records), np.array([0, 1])
    plot_examples(found, records, "validation", rows, tmp_path / "out.png")
    assert titles == ["cat: dog 75%", "dog: dog 90%"]


def test_no_mistakes_are_drawn_as_none(
    train_records: Path, drawn: list[Figure], tmp_path: Path
) -> None:
    records, rows = open_records(train_records), np.array([], int)
    plot_examples(FOUND, records, "validation", rows, tmp_path / "out.png")
    assert [text.get_text() for text in drawn[0].texts] == ["none"]
