"""What is drawn is what was found, and it is a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import alexnet.model.results.plots
from alexnet.model.results.plots import (
    plot_confusion,
    plot_curves,
    plot_filters,
    plot_run,
)
from alexnet.model.results.scores import Scores
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError
from tests.conftest import NUM_HELD_OUT, slow

HISTORY = [
    EpochRecord(1, 5, 0.1, 0.7, 0.5, 0.6, 0.55, 1.0, 0.0, 1.0),
    EpochRecord(2, 10, 0.1, 0.5, 0.75, 0.65, 0.6, 1.0, 0.0, 1.0),
    EpochRecord(3, 15, 0.1, 0.25, 0.875, 0.4, 0.7, 1.0, 0.0, 1.0),
]
RNG = np.random.default_rng(3)
NAMES = ("cat", "dog", "owl")


def scores_of(names: tuple[str, ...], num_examples: int = 30) -> Scores:
    """Random guesses at random classes."""
    scores = Scores(names)
    logits = RNG.normal(size=(num_examples, len(names)))
    scores.add(RNG.integers(0, len(names), num_examples), logits)
    return scores


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures, in place of their files."""
    figures: list[Figure] = []
    monkeypatch.setattr(
        alexnet.model.results.plots,
        "save_figure",
        lambda figure, _: figures.append(figure),
    )
    return figures


def require_picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert 50 <= min(image.size) <= max(image.size) <= 3000
        # Something is drawn: more than one colour.
        assert len(image.convert("L").getcolors() or []) > 10


@pytest.mark.parametrize("num_classes", [600, slow(2000)])
def test_the_confusion_of_very_many_classes(num_classes: int, tmp_path: Path) -> None:
    names = tuple(f"class {number}" for number in range(num_classes))
    path = plot_confusion(scores_of(names, 900), "all", tmp_path)
    assert path == tmp_path / "confusion-all.png"
    require_picture(path)


@pytest.mark.slow
def test_every_picture_of_a_run(trained_run: RunFolder, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    drawn = plot_run(
        trained_run,
        tmp_path / "new" / "out",
        progress=lambda *counts: told.append(counts),
    )
    paths = drawn.paths
    best = max(trained_run.load_history(), key=lambda one: one.val_accuracy or 0)
    assert (drawn.checkpoint, drawn.epoch) == ("best", best.epoch)
    assert plot_run(trained_run, tmp_path / "last", "last").epoch == 2
    assert told == [(NUM_HELD_OUT, NUM_HELD_OUT)]
    names = ["curves", "filters", "confusion-validation", "predictions", "mistakes"]
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


def test_curves_are_the_history_and_mark_the_best_epoch(
    drawn: list[Figure], tmp_path: Path
) -> None:
    history = [*HISTORY[:2], replace(HISTORY[2], val_accuracy=0.6)]
    plot_curves(history, tmp_path / "curves.png")
    accuracy, loss = drawn[0].axes
    for axis, name in ((accuracy, "accuracy"), (loss, "loss")):
        assert axis.get_ylabel() == name
        train, held_out, best = axis.get_lines()
        for line, field in ((train, name), (held_out, f"val_{name}")):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            expected = [getattr(record, field) for record in history]
            np.testing.assert_array_equal(line.get_ydata(), expected)
        assert "validation" in str(held_out.get_label())
        # Of two that are equally good, the first is the checkpoint.
        assert np.asarray(best.get_xdata()).tolist() == [2, 2]
        assert axis.legend_
        legend = [text.get_text() for text in axis.legend_.texts]
        assert legend[-1] == "best: epoch 2, accuracy 0.600"


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_curves_with_gaps_in_validation(
    drawn: list[Figure], tmp_path: Path, gap: int
) -> None:
    history = [*HISTORY]
    history[gap] = replace(history[gap], val_loss=None, val_accuracy=None)
    plot_curves(history, tmp_path / "curves.png")
    for axis in drawn[0].axes:
        values = np.asarray(axis.get_lines()[1].get_ydata(), float)
        assert list(np.isnan(values)) == [place == gap for place in range(3)]


def test_curves_without_validation(drawn: list[Figure], tmp_path: Path) -> None:
    record = EpochRecord(1, 5, 0.1, 0.7, 0.5, None, None, 1.0, 0.0, 1.0)
    plot_curves([record], tmp_path / "curves.png")
    assert [len(axis.get_lines()) for axis in drawn[0].axes] == [1, 1]


def test_the_confusions_counts_and_shares(drawn: list[Figure], tmp_path: Path) -> None:
    scores = scores_of(NAMES)
    plot_confusion(scores, "validation", tmp_path)
    (axis,) = drawn[0].axes
    counts = np.zeros((3, 3), int)
    for text in axis.texts:
        column, row = map(int, text.get_position())
        counts[row, column] = int(text.get_text())
    np.testing.assert_array_equal(counts, scores.confusion())
    shares = axis.get_images()[0].get_array()
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(shares), expected)
    assert [tick.get_text() for tick in axis.get_yticklabels()] == list(NAMES)
    assert f"{scores.top1:.1%}" in axis.get_title()


def test_filters_are_scaled_one_by_one(drawn: list[Figure], tmp_path: Path) -> None:
    kernel = RNG.normal(size=(11, 11, 3, 8)) * np.arange(8)  # the first is flat
    plot_filters(kernel, tmp_path / "filters.png")
    images = [axis.get_images()[0] for axis in drawn[0].axes if axis.get_images()]
    pictures = np.stack([np.asarray(image.get_array()) for image in images])
    assert pictures.shape == (8, 11, 11, 3)
    assert pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures[0], 0)
    for number in range(1, 8):
        one = kernel[..., number]
        expected = 255 * (one - one.min()) / (one.max() - one.min())
        np.testing.assert_allclose(pictures[number], expected, atol=1)
