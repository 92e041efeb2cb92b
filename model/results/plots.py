"""Pictures of a run: curves, first-layer filters, confusion, examples and mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.model.results.evaluation import (
    Progress,
    checkpoint_to_use,
    classify,
    load_classifier,
)
from alexnet.model.results.gallery import EXAMPLES, Gallery, plot_examples
from alexnet.model.results.run_data import held_out_split, open_run_data
from alexnet.model.results.scores import MATRIX_CLASSES, Scores
from alexnet.model.training.epoch_log import EpochLog
from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.inspect.contact_sheet import draw_grid
from alexnet.pipeline.pictures import legible, save_figure
from alexnet.pipeline.read.lookup import sample_rows

BATCH = 128
# A confusion matrix of more has no names and figures, only colours.
LEGIBLE_CLASSES = 30


@dataclass(frozen=True)
class RunPictures:
    """The pictures that were drawn of a run, and the checkpoint they show."""

    checkpoint: str
    epoch: int
    paths: tuple[Path, ...]


def plot_run(
    run: RunFolder,
    out: Path,
    which: str = "best",
    progress: Progress = lambda done, total: None,
) -> RunPictures:
    """Draw every picture of a run into `out`.

    Raises:
        RunError: there is no such run, it has not finished an epoch, or its records are
            others now.
        DataError: the run's records are not there any more.
    """
    config, history = run.load_config(), run.load_history()
    if not history:
        raise RunError(f"{run.path} has no finished epoch to draw")
    classifier, epoch = load_classifier(run, which)
    out.mkdir(parents=True, exist_ok=True)
    curves, filters, predictions, mistakes = (
        out / f"{name}.png" for name in ("curves", "filters", "predictions", "mistakes")
    )
    plot_curves(history, curves)
    kernel = first_filters(classifier.network)
    if kernel is not None:
        plot_filters(kernel, filters)
    records = open_run_data(run)
    split = held_out_split(records)
    num_examples = records.manifest.split(split).num_examples
    gallery = Gallery(frozenset(sample_rows(num_examples, EXAMPLES, config.train.seed)))
    scores = Scores(config.class_names)
    for batch in classify(classifier, records, [split], BATCH):
        scores.add(batch.labels, batch.logits)
        gallery.add(batch)
        progress(scores.num_examples, num_examples)
    confusion = plot_confusion(scores, split, out)
    plot_examples(gallery.chosen, records, split, predictions)
    plot_examples(gallery.mistakes, records, split, mistakes)
    _log_mistakes(run, mistakes, epoch)
    drawn = [] if kernel is None else [filters]
    paths = (curves, *drawn, confusion, predictions, mistakes)
    return RunPictures(checkpoint_to_use(run, which), epoch, paths)


def _log_mistakes(run: RunFolder, picture: Path, epoch: int) -> None:
    """Show a picture in TensorBoard too, where the run folder can be written."""
    with suppress(OSError, tf.errors.OpError):
        pixels = tf.io.decode_png(picture.read_bytes(), channels=3).numpy()
        EpochLog(run.logs_path).write_picture("mistakes", pixels, epoch)


def plot_curves(history: Sequence[EpochRecord], path: Path) -> None:
    """Draw accuracy and loss over the epochs, training and validation, and the best."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axis, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        _draw_curve(axis, history, name, "train (augmented)")
        best = best_epoch(history)
        if best:
            _draw_curve(axis, history, f"val_{name}", "validation")
            label = f"best: epoch {best.epoch}, accuracy {best.val_accuracy:.3f}"
            axis.axvline(best.epoch, color="0.5", linestyle=":", label=label)
        axis.set_xlabel("epoch")
        axis.set_ylabel(name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend()
    save_figure(figure, path)


def _draw_curve(
    axis: Axes, history: Sequence[EpochRecord], name: str, label: str
) -> None:
    """Draw a column of the history, with gaps where it has no value."""
    values = [getattr(record, name) for record in history]
    heights = [nan if value is None else value for value in values]
    axis.plot([record.epoch for record in history], heights, marker=".", label=label)


def first_filters(network: Any) -> np.ndarray | None:
    """The filters of the layer that sees the pixels; None in a network without any."""
    for layer in network.layers:
        for weight in layer.get_weights()[:1]:
            sees_pixels = weight.ndim == 4 and weight.shape[2] == 3
            return np.asarray(weight) if sees_pixels else None
    return None


def filter_pictures(kernel: np.ndarray) -> np.ndarray:
    """Filters, float [height, width, 3, filters], as uint8 [filters, height, width, 3].

    Each has its own scale, from its lowest weight to its highest.
    """
    filters = np.moveaxis(kernel, -1, 0)
    low = filters.min(axis=(1, 2, 3), keepdims=True)
    high = filters.max(axis=(1, 2, 3), keepdims=True)
    levels = 255 * (filters - low) / np.maximum(high - low, 1e-12)
    return np.asarray(levels, np.uint8)


def plot_filters(kernel: np.ndarray, path: Path) -> None:
    """Draw the first layer's filters, float [height, width, 3, filters]."""
    pictures = filter_pictures(kernel)
    figure = draw_grid(pictures, [""] * len(pictures), 16, cell_inches=0.5)
    save_figure(figure, path)


def plot_confusion(scores: Scores, split: str, folder: Path) -> Path:
    """Draw the confusion as shares of each true class into `folder`; return the file.

    Up to 30 classes have their names and counts; above 1 000, neighbouring ones share a
    cell.
    """
    num_classes = len(scores.class_names)
    counts = scores.confusion(min(num_classes, MATRIX_CLASSES))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(4.0, 0.6 * min(num_classes, LEGIBLE_CLASSES) + 2)
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    edges = (-0.5, num_classes - 0.5)  # in classes, however many share a cell
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, extent=(*edges, *edges[::-1]))
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(f"{split}: top-1 {scores.top1:.1%} of {scores.num_examples:,}")
    if num_classes <= LEGIBLE_CLASSES:
        _label_cells(axis, scores.class_names, counts, shares)
    path = folder / f"confusion-{split}.png"
    save_figure(figure, path)
    return path


def _label_cells(
    axis: Axes, names: Sequence[str], counts: np.ndarray, shares: np.ndarray
) -> None:
    """Write the classes beside a confusion matrix, and every count into it."""
    ticks, labels = range(len(names)), [legible(name) for name in names]
    axis.set_xticks(ticks, labels, rotation=45, ha="right")
    axis.set_yticks(ticks, labels)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, f"{count:,}", ha="center", va="center", color=color)
