"""Pictures of a run: curves, first-layer filters, confusion, confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model.evaluation import (
    EvaluationReport,
    Predictions,
    load_classifier,
    make_report,
    predict_records,
    require_same_classes,
)
from model.history import EpochRecord
from model.run import RunFolder
from pipeline.config import ReadConfig
from pipeline.dataset import eval_dataset
from pipeline.errors import RunError
from pipeline.files import atomic_path
from pipeline.photos import open_data
from pipeline.reader import RecordSet
from pipeline.sheet import save_grid, to_rgb_images

EXAMPLES = 24
BATCH = 128
# A confusion matrix of more has no names and figures, only colours.
LEGIBLE_CLASSES = 30


def plot_run(run: RunFolder, out: Path) -> list[Path]:
    """Draw every picture of a run into `out`; return their paths.

    Raises:
        RunError: there is no such run, or it has not finished an epoch.
        DataError: the run's records are not there any more.
    """
    config = run.load_config()
    history = run.load_history()
    if not history:
        raise RunError(f"{run.path} has no finished epoch to draw")
    classifier, epoch = load_classifier(run)
    out.mkdir(parents=True, exist_ok=True)
    drawn = [out / "curves.png", out / "filters.png"]
    plot_curves(history, drawn[0])
    plot_filters(classifier.network.get_layer("conv1").get_weights()[0], drawn[1])
    records = open_data(Path(config.data))
    require_same_classes(config, records)
    held_out = records.manifest.splits["validation"].num_examples
    split = "validation" if held_out else "train"
    found = predict_records(classifier, records, split, BATCH)
    drawn += [out / f"{name}.png" for name in ("confusion", "predictions", "mistakes")]
    plot_confusion(make_report(found, split, epoch, config.class_names), drawn[2])
    plot_examples(found, records, split, np.arange(len(found.labels)), drawn[3])
    plot_examples(found, records, split, worst_mistakes(found), drawn[4])
    return drawn


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def plot_curves(history: Sequence[EpochRecord], path: Path) -> None:
    """Draw accuracy and loss over the epochs, training and validation."""
    figure = Figure(figsize=(10, 4))
    epochs = [record.epoch for record in history]
    for axis, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        train = [getattr(record, name) for record in history]
        axis.plot(epochs, train, marker=".", label="train (augmented)")
        held_out = [getattr(record, f"val_{name}") for record in history]
        if held_out[0] is not None:
            axis.plot(epochs, held_out, marker=".", label="validation")
        axis.set_xlabel("epoch")
        axis.set_ylabel(name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend()
    _save(figure, path)


def plot_filters(kernel: np.ndarray, path: Path) -> None:
    """Draw the first layer's filters, float [height, width, 3, filters]."""
    filters = np.moveaxis(kernel, -1, 0)
    low = filters.min(axis=(1, 2, 3), keepdims=True)
    high = filters.max(axis=(1, 2, 3), keepdims=True)
    pictures = (255 * (filters - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)
    save_grid(pictures, [""] * len(pictures), 16, path, cell_inches=0.5)


def plot_confusion(report: EvaluationReport, path: Path) -> None:
    """Draw the confusion matrix as shares of each true class, with the counts."""
    counts = report.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(4.0, 0.6 * min(len(counts), LEGIBLE_CLASSES) + 2)
    figure = Figure(figsize=(size, size))
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(
        f"{report.split}: top-1 {report.top1:.1%} of {report.num_examples:,}"
    )
    if len(counts) <= LEGIBLE_CLASSES:
        _label_cells(axis, report, shares)
    _save(figure, path)


def _label_cells(axis: Axes, report: EvaluationReport, shares: np.ndarray) -> None:
    """Write the classes beside a confusion matrix, and every count into it."""
    ticks = range(len(shares))
    axis.set_xticks(ticks, report.class_names, rotation=45, ha="right")
    axis.set_yticks(ticks, report.class_names)
    for (row, column), count in np.ndenumerate(report.confusion):
        color = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, f"{count:,}", ha="center", va="center", color=color)


def confidence(found: Predictions) -> np.ndarray:
    """The probability of the likeliest class, float32 [examples]."""
    odds = np.exp(found.logits - found.logits.max(axis=1, keepdims=True))
    return odds.max(axis=1) / odds.sum(axis=1)


def worst_mistakes(found: Predictions) -> np.ndarray:
    """The rows that were labelled wrongly, the most confident first."""
    wrong = np.flatnonzero(found.logits.argmax(axis=1) != found.labels)
    return wrong[np.argsort(-confidence(found)[wrong], kind="stable")]


def plot_examples(
    found: Predictions, records: RecordSet, split: str, rows: np.ndarray, path: Path
) -> None:
    """Draw the first of `rows` with their true class and what was said instead."""
    rows = rows[:EXAMPLES]
    if not len(rows):
        return _say_none(path)
    names, guesses = records.manifest.class_names, found.logits.argmax(axis=1)
    sure = confidence(found)
    titles = [
        f"{names[found.labels[i]]}: {names[guesses[i]]} {sure[i]:.0%}" for i in rows
    ]
    return save_grid(_images_at(records, split, rows), titles, 8, path)


def _say_none(path: Path) -> None:
    figure = Figure(figsize=(4, 1))
    figure.text(0.5, 0.5, "none", ha="center", va="center")
    _save(figure, path)


def _images_at(records: RecordSet, split: str, rows: np.ndarray) -> np.ndarray:
    """uint8 [rows, side, side, 3]: the stored images at places of a split's order."""
    wanted, found = set(rows.tolist()), {}
    for number, batch in enumerate(eval_dataset(records, ReadConfig(BATCH), split)):
        start = number * BATCH
        for row in wanted.intersection(range(start, start + BATCH)):
            found[row] = batch[0][row - start].numpy()
    return to_rgb_images(np.stack([found[row] for row in rows.tolist()]))
