"""How good a run's network is on a split: exact figures at any batch size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from model.alexnet import build_network
from model.checkpoints import load_network
from model.classifier import Classifier
from model.hardware import share_gpus
from model.run import RunConfig, RunFolder
from pipeline.blame import reading
from pipeline.config import ReadConfig
from pipeline.dataset import eval_dataset
from pipeline.errors import RunError
from pipeline.photos import open_data
from pipeline.reader import RecordSet

# Called with the images done and the images in all.
Progress = Callable[[int, int], None]
TOP = 5


@dataclass(frozen=True)
class ClassFigures:
    """One class's precision, recall and F1 (0 where undefined) and its examples."""

    name: str
    precision: float
    recall: float
    f1: float
    num_examples: int


@dataclass(frozen=True)
class EvaluationReport:
    """What a network reaches on a split; confusion rows are the true classes."""

    split: str
    epoch: int
    loss: float
    top1: float
    top5: float | None
    class_names: tuple[str, ...]
    confusion: np.ndarray

    @property
    def num_examples(self) -> int:
        """Examples evaluated."""
        return int(self.confusion.sum())

    @property
    def per_class(self) -> list[ClassFigures]:
        """Figures of every class."""
        hits = np.diag(self.confusion).astype(float)
        precision = _ratio(hits, self.confusion.sum(axis=0))
        recall = _ratio(hits, self.confusion.sum(axis=1))
        f1 = _ratio(2 * precision * recall, precision + recall)
        counts = self.confusion.sum(axis=1)
        return [
            ClassFigures(name, float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(
                self.class_names, precision, recall, f1, counts, strict=True
            )
        ]

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "split": self.split,
            "epoch": self.epoch,
            "num_examples": self.num_examples,
            "loss": self.loss,
            "top1": self.top1,
            "top5": self.top5,
            "class_names": list(self.class_names),
            "per_class": [vars(figures) for figures in self.per_class],
            "confusion": self.confusion.tolist(),
        }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


@dataclass(frozen=True)
class Predictions:
    """Of every example of a split, in its order: true label and probabilities."""

    labels: np.ndarray  # int64 [examples]
    logits: np.ndarray  # float32 [examples, classes]


def load_classifier(run: RunFolder, which: str = "last") -> tuple[Classifier, int]:
    """The run's trained classifier, in float32, and the epoch of its checkpoint.

    Raises:
        RunError: there is no run or no checkpoint, or they do not fit each other.
    """
    config = run.load_config()
    share_gpus()  # a training may be running beside this
    keras.mixed_precision.set_global_policy("float32")
    network = build_network(config.network)
    epoch = load_network(run, network, which)
    return Classifier(network, config.augment), epoch


def evaluate(
    run: RunFolder,
    data: Path | None = None,
    split: str = "validation",
    which: str = "last",
    batch_size: int = 128,
    progress: Progress = lambda done, total: None,
) -> EvaluationReport:
    """The figures of a run's checkpoint on a split, or on `all` examples.

    Raises:
        RunError: there is no such run or checkpoint, or the records have other classes.
        DataError: the records or the split are not there.
    """
    config = run.load_config()
    records = open_data(data or Path(config.data))
    require_same_classes(config, records)
    classifier, epoch = load_classifier(run, which)
    found = predict_records(classifier, records, split, batch_size, progress)
    return make_report(found, split, epoch, config.class_names)


def require_same_classes(config: RunConfig, records: RecordSet) -> None:
    """Check that the records hold what the run can tell apart.

    Raises:
        RunError: the classes differ, or the side of the stored squares.
    """
    if records.manifest.class_names != config.class_names:
        raise RunError(
            f"the run tells {', '.join(config.class_names)} apart; the records in"
            f" {records.folder} hold {', '.join(records.manifest.class_names)}."
            " Choose records of the run's own classes."
        )
    side = records.manifest.config.side
    if side != config.stored_side:
        raise RunError(
            f"the run was trained on {config.stored_side} px records; those in"
            f" {records.folder} hold {side} px. Build them with --side"
            f" {config.stored_side}."
        )


def predict_records(
    classifier: Classifier,
    records: RecordSet,
    split: str,
    batch_size: int,
    progress: Progress = lambda done, total: None,
) -> Predictions:
    """What the classifier says of every example of a split, or of `all`.

    Raises:
        DataError: there is no such split, or a shard or photo of it cannot be used.
    """
    splits = [
        name for name, card in records.manifest.splits.items() if card.num_examples
    ]
    if split != "all":
        records.manifest.split(split)
        splits = [split]
    logits_of = tf.function(classifier.eval_logits)
    total = sum(records.manifest.splits[name].num_examples for name in splits)
    read = ReadConfig(batch_size)
    batches = (batch for name in splits for batch in eval_dataset(records, read, name))
    logits, labels, done = [], [], 0
    with reading(records):
        for images, truth, weights in batches:
            real = int(weights.numpy().sum())
            logits.append(logits_of(images).numpy()[:real])
            labels.append(truth.numpy()[:real])
            done += real
            progress(done, total)
    return Predictions(np.concatenate(labels), np.concatenate(logits))


def make_report(
    found: Predictions, split: str, epoch: int, class_names: tuple[str, ...]
) -> EvaluationReport:
    """The figures of some predictions: float64 means over all examples."""
    labels, logits = found.labels, found.logits.astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    true_logits = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    guesses = logits.argmax(axis=1)
    confusion = np.zeros((len(class_names), len(class_names)), np.int64)
    np.add.at(confusion, (labels, guesses), 1)
    return EvaluationReport(
        split=split,
        epoch=epoch,
        loss=float((log_sum - true_logits).mean()),
        top1=float((guesses == labels).mean()),
        top5=_top(logits, labels, TOP) if len(class_names) >= TOP else None,
        class_names=class_names,
        confusion=confusion,
    )


def _top(logits: np.ndarray, labels: np.ndarray, count: int) -> float:
    best = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    return float((best == labels[:, None]).any(axis=1).mean())
