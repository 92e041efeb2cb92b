"""What a run's end says of it: best, last, and whether it is any better than chance."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binomtest

from alexnet.model.training.history import EpochRecord
from alexnet.model.training.report import FitReport, chance_limit

RECORD = EpochRecord(1, 10, 0.1, 0.7, 0.5, 0.6, 0.5, 100.0, 0.0, 1.0)


def report(*accuracies: float | None, counts: tuple[int, ...]) -> FitReport:
    history = tuple(
        replace(RECORD, epoch=epoch, val_accuracy=accuracy)
        for epoch, accuracy in enumerate(accuracies, 1)
    )
    return FitReport(Path("runs/x"), history, counts)


@pytest.mark.parametrize(
    ("accuracies", "counts", "told"),
    [
        ((0.5, 0.5, 0.5), (500, 500), "validation has stayed at chance"),
        ((0.49, 0.53), (500, 500), "validation has stayed at chance"),
        ((0.52, 0.60), (500, 500), None),
        ((0.52, 0.80, 0.50), (500, 500), "fell back to chance after epoch 2"),
        ((0.90, 0.905), (900, 100), "the largest class always (90.0%)"),
        ((0.90, 0.94), (900, 100), None),
        ((0.001,), (50,) * 1000, "(0.1%), as far as 50,000 examples"),
        ((0.002,), (50,) * 1000, None),
        ((0.8, 0.7), (5, 5), "as far as 10 examples can tell"),
        ((0.6, 1.0), (5, 5), None),
        ((None, None), (), None),
    ],
)
def test_a_run_at_chance_is_told(
    accuracies: tuple[float | None, ...], counts: tuple[int, ...], told: str | None
) -> None:
    warning = report(*accuracies, counts=counts).chance_warning
    assert warning is None if told is None else told in (warning or "")


@pytest.mark.parametrize("counts", [(50, 50), (500, 500), (800, 200), (100,) * 10])
def test_chance_ends_where_an_exact_test_has_it(counts: tuple[int, ...]) -> None:
    """A one-sided binomial test against the largest class's share, at 5 %."""
    examples, rate = sum(counts), max(counts) / sum(counts)
    limit = chance_limit(counts, epochs=1)
    below, above = int(limit * examples), int(limit * examples) + 2
    assert binomtest(below - 1, examples, rate, "greater").pvalue > 0.05
    assert binomtest(above, examples, rate, "greater").pvalue < 0.05


def test_the_best_of_many_guesses_is_still_a_guess() -> None:
    """200 runs of 20 epochs that toss a coin for 100 examples: one in 20 may pass."""
    rng = random.Random(3)
    passed = 0
    for _ in range(200):
        tossed = [sum(rng.random() < 0.5 for _ in range(100)) / 100 for _ in range(20)]
        passed += report(*tossed, counts=(50, 50)).chance_warning is None
    assert passed <= 200 * 0.05 + 8


def test_the_best_is_the_first_of_the_highest() -> None:
    found = report(0.5, 0.75, 0.75, 0.6, counts=(50, 50)).to_json()
    assert found["best"] == {"epoch": 2, "loss": 0.6, "accuracy": 0.75}
    assert found["validation"] == {"loss": 0.6, "accuracy": 0.6}
    assert found["epochs"] == 4
    without = report(None, counts=()).to_json()
    assert without["best"] is None and without["validation"] is None
