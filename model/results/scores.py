"""Figures of a network on labelled examples: loss, top-1, top-5, classes, confusion.

They are added up batch by batch: what is held in memory does not grow with the number
of examples. Confusion is kept as counts of the pairs that occur, because a matrix of
10 000 classes has a hundred million entries, nearly all of them 0.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.pipeline.files import atomic_path

TOP = 5
# More classes get no matrix in the JSON: that of 10 000 would take hundreds of MB.
MATRIX_CLASSES = 1000


@dataclass(frozen=True)
class ClassFigures:
    """One class's precision, recall and F1 (0 where undefined) and its examples."""

    name: str
    precision: float
    recall: float
    f1: float
    num_examples: int


class Scores:
    """Figures of the examples added so far, exact at any batch size."""

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self.num_examples = 0
        self._loss = 0.0
        self._hits = 0
        self._hits_in_top = 0
        self._pairs: Counter[tuple[int, int]] = Counter()

    def add(self, labels: np.ndarray, logits: np.ndarray) -> None:
        """Add examples: int64 [batch] labels, float32 [batch, classes] logits."""
        true_logits = np.take_along_axis(logits, labels[:, None], axis=1)
        # Of equal logits the earlier class comes first, as for argmax.
        earlier = np.arange(len(self.class_names)) < labels[:, None]
        ahead = (logits > true_logits) | ((logits == true_logits) & earlier)
        guesses = logits.argmax(axis=1)
        self.num_examples += len(labels)
        self._loss += _cross_entropy(logits, true_logits)
        self._hits += int((guesses == labels).sum())
        self._hits_in_top += int((ahead.sum(axis=1) < TOP).sum())
        self._pairs.update(zip(labels.tolist(), guesses.tolist(), strict=True))

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return self._loss / self.num_examples

    @property
    def top1(self) -> float:
        """Share of the examples whose likeliest class is the true one."""
        return self._hits / self.num_examples

    @property
    def top5(self) -> float | None:
        """Share whose likeliest five hold the true class; None below five classes."""
        few = len(self.class_names) < TOP
        return None if few else self._hits_in_top / self.num_examples

    def pairs(self) -> np.ndarray:
        """Confusion as int64 [pairs, 3]: true class, predicted class, how often."""
        rows = [(*pair, count) for pair, count in sorted(self._pairs.items())]
        return np.array(rows, np.int64).reshape(-1, 3)

    def confusion(self, num_cells: int | None = None) -> np.ndarray:
        """Confusion as int64 [cells, cells], rows the true classes.

        By default a cell is a class; fewer cells hold neighbouring classes together.
        """
        num_cells = num_cells or len(self.class_names)
        pairs = self.pairs()
        cells = pairs[:, :2] * num_cells // len(self.class_names)
        counts = np.zeros((num_cells, num_cells), np.int64)
        np.add.at(counts, (cells[:, 0], cells[:, 1]), pairs[:, 2])
        return counts

    def per_class(self) -> list[ClassFigures]:
        """Figures of every class."""
        true, predicted, counts = self.pairs().T
        num_classes = len(self.class_names)
        hits = np.bincount(true, counts * (true == predicted), num_classes)
        examples = np.bincount(true, counts, num_classes)
        precision = _ratio(hits, np.bincount(predicted, counts, num_classes))
        recall = _ratio(hits, examples)
        f1 = _ratio(2 * precision * recall, precision + recall)
        columns = (precision, recall, f1, examples)
        return [
            ClassFigures(name, float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(self.class_names, *columns, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        left_out = self.why_no_matrix()
        return {
            "num_examples": self.num_examples,
            "loss": self.loss,
            "top1": self.top1,
            "top5": self.top5,
            "class_names": list(self.class_names),
            "per_class": [vars(figures) for figures in self.per_class()],
            "confusion": None if left_out else self.confusion().tolist(),
            "confusion_left_out": left_out,
        }

    def why_no_matrix(self) -> str | None:
        """Say why the JSON has no confusion matrix; None where it has one."""
        if len(self.class_names) <= MATRIX_CLASSES:
            return None
        return (
            f"more than {MATRIX_CLASSES:,} classes have no confusion matrix:"
            " `alexnet evaluate RUN --confusion FILE` writes the pairs that occur"
        )

    def save_confusion(self, path: Path) -> None:
        """Write the pairs that occur as CSV: true class, predicted class, count."""
        with (
            atomic_path(path) as partial,
            partial.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["true", "predicted", "count"])
            for true, predicted, count in self.pairs().tolist():
                names = self.class_names[true], self.class_names[predicted]
                writer.writerow([*names, count])


def _cross_entropy(logits: np.ndarray, true_logits: np.ndarray) -> float:
    """The sum over a batch, in float64."""
    shifted = logits.astype(np.float64) - true_logits
    highest = shifted.max(axis=1)
    losses = np.log(np.exp(shifted - highest[:, None]).sum(axis=1)) + highest
    return float(losses.sum())


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.zeros(len(part))
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
