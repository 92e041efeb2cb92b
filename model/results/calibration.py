"""Calibration of a network's probabilities, and its figures at other thresholds.

Counts are added up batch by batch, as in `Scores`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Guo 2017, section 5: bins of equal width.
NUM_BINS = 15
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Bin:
    """Examples whose confidence is in (low, high]: its mean, and how many are right."""

    low: float
    high: float
    num_examples: int
    confidence: float
    accuracy: float


class Calibration:
    """Confidence, the likeliest class's probability, against how often it is right."""

    def __init__(self) -> None:
        self._examples = np.zeros(NUM_BINS, np.int64)
        self._confidence, self._hits = np.zeros(NUM_BINS), np.zeros(NUM_BINS)

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Add int64 [batch] labels and float [batch, classes] probabilities."""
        confidence = probabilities.max(axis=1).astype(np.float64)
        hits = probabilities.argmax(axis=1) == labels
        places = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, None)
        places = np.minimum(places, NUM_BINS - 1)  # sums of 1 plus a rounding error
        self._examples += np.bincount(places, minlength=NUM_BINS)
        self._confidence += np.bincount(places, confidence, NUM_BINS)
        self._hits += np.bincount(places, hits, NUM_BINS)

    def bins(self) -> list[Bin]:
        """The bins that hold examples, by rising confidence."""
        return [
            Bin(
                place / NUM_BINS,
                (place + 1) / NUM_BINS,
                int(count),
                float(self._confidence[place] / count),
                float(self._hits[place] / count),
            )
            for place, count in enumerate(self._examples)
            if count
        ]

    @property
    def expected_error(self) -> float:
        """The ECE: the gap between confidence and accuracy, averaged over examples."""
        gaps = np.abs(self._confidence - self._hits).sum()
        return float(gaps / max(1, self._examples.sum()))


@dataclass(frozen=True)
class ThresholdFigures:
    """Figures of answering the second class from a probability of `threshold` on."""

    threshold: float
    precision: float | None
    recall: float | None
    false_positive_rate: float | None
    accuracy: float


class Thresholds:
    """Two classes told apart at other probabilities than one half."""

    def __init__(self) -> None:
        # Examples by label, and those of them at or above each threshold.
        self._examples = np.zeros(2, np.int64)
        self._above = np.zeros((2, len(THRESHOLDS)), np.int64)

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Add int64 [batch] labels and float [batch, 2] probabilities."""
        above = probabilities[:, 1:] >= np.array(THRESHOLDS, probabilities.dtype)
        for label in (0, 1):
            self._examples[label] += np.count_nonzero(labels == label)
            self._above[label] += above[labels == label].sum(axis=0)

    def table(self) -> list[ThresholdFigures]:
        """The figures at every threshold; None where there is nothing to count."""
        negatives, positives = self._examples.tolist()
        return [
            ThresholdFigures(
                threshold,
                _ratio(true, true + false),
                _ratio(true, positives),
                _ratio(false, negatives),
                (true + negatives - false) / max(1, positives + negatives),
            )
            for threshold, false, true in zip(
                THRESHOLDS, *self._above.tolist(), strict=True
            )
        ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
