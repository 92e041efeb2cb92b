"""Calibration and thresholds, against a count by hand and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from alexnet.model.results.calibration import (
    NUM_BINS,
    THRESHOLDS,
    Calibration,
    Thresholds,
)

RNG = np.random.default_rng(5)
NUM = 500
PROBABILITIES = RNG.dirichlet([0.7, 0.7], NUM).astype(np.float32)
LABELS = (RNG.random(NUM) < PROBABILITIES[:, 1] ** 1.5).astype(np.int64)


def batches(size: int) -> list[slice]:
    return [slice(first, first + size) for first in range(0, NUM, size)]


@pytest.mark.parametrize("size", [1, 64, NUM])
def test_bins_are_those_of_scikit_learn(size: int) -> None:
    calibration = Calibration()
    for rows in batches(size):
        calibration.add(LABELS[rows], PROBABILITIES[rows])
    confidence, hits = PROBABILITIES.max(1), PROBABILITIES.argmax(1) == LABELS
    accuracy, mean = calibration_curve(hits, confidence, n_bins=NUM_BINS)
    bins = calibration.bins()
    np.testing.assert_allclose([one.accuracy for one in bins], accuracy)
    np.testing.assert_allclose([one.confidence for one in bins], mean, rtol=1e-6)
    by_hand = 0.0
    for low, high in zip(np.arange(NUM_BINS), np.arange(1, NUM_BINS + 1), strict=True):
        inside = (confidence > low / NUM_BINS) & (confidence <= high / NUM_BINS)
        if inside.any():
            gap = abs(confidence[inside].mean() - hits[inside].mean())
            by_hand += inside.mean() * gap
    assert calibration.expected_error == pytest.approx(by_hand, rel=1e-5)


def test_the_ends_have_bins() -> None:
    calibration = Calibration()
    sure = np.array([[1.0, 0.0], [0.5, 0.5], [np.nextafter(1, 2), 0]])
    calibration.add(np.array([0, 1, 1]), sure)
    middle, last = calibration.bins()
    assert (middle.num_examples, middle.accuracy) == (1, 0)
    assert (last.num_examples, last.accuracy, last.high) == (2, 0.5, 1)
    assert Calibration().expected_error == 0 and Calibration().bins() == []


@pytest.mark.parametrize("size", [7, NUM])
def test_thresholds_are_those_of_scikit_learn(size: int) -> None:
    thresholds = Thresholds()
    for rows in batches(size):
        thresholds.add(LABELS[rows], PROBABILITIES[rows])
    table = thresholds.table()
    assert [row.threshold for row in table] == list(THRESHOLDS)
    for row in table:
        says = PROBABILITIES[:, 1] >= np.float32(row.threshold)
        (rejected, false), _ = confusion_matrix(LABELS, says)
        assert row.precision == pytest.approx(precision_score(LABELS, says))
        assert row.recall == pytest.approx(recall_score(LABELS, says))
        assert row.false_positive_rate == pytest.approx(false / (false + rejected))
        assert row.accuracy == pytest.approx((says == LABELS).mean())


def test_what_cannot_be_counted_is_none() -> None:
    thresholds = Thresholds()
    thresholds.add(np.array([1]), np.array([[0.99, 0.01]]))
    first = thresholds.table()[0]
    assert first.precision is None and first.false_positive_rate is None
    assert (first.recall, first.accuracy) == (0, 0)
