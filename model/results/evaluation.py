"""A run's network on labelled examples: the run's own records, or others like them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import tensorflow as tf
from tensorflow import keras

from alexnet.model.results.run_data import ALL, held_out_split, open_run_data, splits_of
from alexnet.model.results.scores import Scores
from alexnet.model.training.checkpoints import load_network
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.hardware import enable_memory_growth
from alexnet.model.training.history import best_epoch
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_network import build_run_network
from alexnet.pipeline.config import ReadConfig, Tta
from alexnet.pipeline.notebook import html_table
from alexnet.pipeline.notebook_bar import notebook_progress
from alexnet.pipeline.read.by_service import batch_reader
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import as_place
from alexnet.pipeline.setting import require

# Called with the images done and the images in all.
Progress = Callable[[int, int], None]
# Splits of a run's own records that say little of other photos.
OWN_NOTES = {
    "train": "the run was trained on these examples",
    ALL: "the run was trained on those of the train split among these examples",
}


@dataclass(frozen=True)
class EvaluationReport:
    """The scores of a run's network on a split, with its checkpoint and the records."""

    data: str
    split: str
    is_own_data: bool
    checkpoint: str
    epoch: int
    scores: Scores
    tta: Tta = "none"

    @property
    def note(self) -> str | None:
        """The reason to doubt the figures; None where there is none."""
        if self.is_own_data:
            return OWN_NOTES.get(self.split)
        return (
            "these are other records than the run's; photos among them that the run was"
            " trained on make the figures too good"
        )

    def _repr_html_(self) -> str:
        scores = self.scores
        title = (
            f"{self.split}, {scores.num_examples:,} examples, epoch {self.epoch}:"
            f" loss {scores.loss:.4f}, top-1 {scores.top1:.2%}"
        )
        columns = ["class", "precision", "recall", "F1", "examples"]
        rows = [list(vars(figures).values()) for figures in scores.per_class()]
        return html_table(title, columns, rows)

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "data": self.data,
            "split": self.split,
            "own_records": self.is_own_data,
            "checkpoint": self.checkpoint,
            "epoch": self.epoch,
            "tta": self.tta,
            "note": self.note,
            **self.scores.to_json(),
        }


def checkpoint_to_use(run: RunFolder, which: str) -> str:
    """`best` where it is asked for and validation has chosen one, else `last`.

    Raises:
        ConfigError: it is neither.
        RunError: the run's history is damaged.
    """
    require(which in ("best", "last"), "checkpoint", which, "'best' or 'last'")
    return which if best_epoch(run.load_history()) else "last"


def load_classifier(run: RunFolder, which: str = "best") -> tuple[Classifier, int]:
    """Load the run's trained classifier, in float32; return the checkpoint's epoch too.

    Raises:
        RunError: there is no run or no checkpoint, or they do not fit each other.
    """
    config = run.load_config()
    enable_memory_growth()  # a training may be running beside this
    keras.mixed_precision.set_global_policy("float32")
    network = build_run_network(run)
    epoch = load_network(run, network, checkpoint_to_use(run, which))
    return Classifier(network, config.augment), epoch


def evaluate(
    run: str | PathLike[str],
    data: str | PathLike[str] | Location | OpenedSet | None = None,
    *,
    split: str | None = None,
    checkpoint: str = "best",
    tta: Tta = "none",
    batch_size: int = 128,
    data_service: str | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Evaluate a run's network on labelled examples.

    Args:
        run: the run's folder.
        data: records or photos; by default those that the run was trained on.
        split: "train", "validation", "test" or "all"; by default the run's validation
            split, and all of other records than the run's.
        checkpoint: "best" by validation accuracy, or "last".
        tta: "none", or the views whose probabilities are averaged: "flip" is the
            picture and its mirror image, "ten-crop" four corners and the centre of
            both.
        batch_size: images that are computed at once; the figures do not depend on it.
        data_service: HOST:PORT of a dispatcher, as `alexnet data-service` starts one,
            whose workers make the batches.
        progress: called with the images done and the images in all; by default a
            notebook shows a bar.

    Raises:
        ConfigError: the run's network sees whole pictures, and `tta` crops them.
        RunError: there is no such run or checkpoint, or the records do not fit the run.
        DataError: the records or the split are not there, or no data service answers.
    """
    require(tta in get_args(Tta), "tta", tta, f"one of {', '.join(get_args(Tta))}")
    run = RunFolder(Path(run))
    config = run.load_config()
    data = data.place if isinstance(data, OpenedSet) else data
    records = open_run_data(run, as_place(data) if data is not None else None)
    batch_reader(records, "auto", data_service)
    is_own = records.manifest.fingerprint == config.records_fingerprint
    split = split or (held_out_split(records) if is_own else ALL)
    splits = splits_of(records, split)
    total = sum(records.manifest.splits[name].num_examples for name in splits)
    classifier, epoch = load_classifier(run, checkpoint)
    scores = Scores(config.class_names)
    progress = progress or notebook_progress("evaluating", "images")
    for batch in classify(classifier, records, splits, batch_size, tta, data_service):
        scores.add(batch.labels, batch.logits)
        progress(scores.num_examples, total)
    checkpoint = checkpoint_to_use(run, checkpoint)
    return EvaluationReport(
        str(records.place), split, is_own, checkpoint, epoch, scores, tta
    )


class Batch(NamedTuple):
    """Examples and what the network says of them."""

    images: tf.Tensor  # uint8, as they are stored; padding may follow the examples
    labels: np.ndarray  # int64 [examples]
    logits: np.ndarray  # float32 [examples, classes]


def classify(
    classifier: Classifier,
    records: OpenedSet,
    splits: list[str],
    batch_size: int,
    tta: Tta = "none",
    data_service: str | None = None,
) -> Iterator[Batch]:
    """Yield every example of the splits once, in order, a batch at a time.

    Raises:
        DataError: a shard or photo cannot be used.
    """
    logits_of = tf.function(classifier.tta_logits)
    for images, labels, weights in _read(records, splits, batch_size, data_service):
        real = int(np.count_nonzero(weights))
        yield Batch(
            images, labels.numpy()[:real], logits_of(images, tta).numpy()[:real]
        )


def _read(
    records: OpenedSet, splits: list[str], batch_size: int, data_service: str | None
) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    config = ReadConfig(batch_size=batch_size)
    with reading(records):
        for split in splits:
            yield from eval_dataset(records, config, split, data_service=data_service)
