"""Figures against scikit-learn's, whatever the batches; many classes in little room."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from alexnet.model.results.scores import MATRIX_CLASSES, Scores

NAMES = tuple("abcdefg")


def made_up(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Forty labels and logits, some of them equal; nobody guesses the last class."""
    rng = np.random.default_rng(num_classes)
    logits = rng.normal(scale=2, size=(40, num_classes)).astype(np.float32)
    logits[::7] = np.round(logits[::7])
    logits[:, -1] = -9
    return rng.integers(0, num_classes, 40), logits


def scores_of(
    labels: np.ndarray,
    logits: np.ndarray,
    names: tuple[str, ...] = NAMES,
    batch_size: int = 40,
) -> Scores:
    scores = Scores(names[: logits.shape[1]])
    for start in range(0, len(labels), batch_size):
        batch = slice(start, start + batch_size)
        scores.add(labels[batch], logits[batch])
    return scores


@pytest.mark.filterwarnings("ignore:'k' .5. greater than or equal")
@pytest.mark.parametrize("batch_size", [1, 7, 40])
@pytest.mark.parametrize("num_classes", [2, 5, 7])
def test_figures_are_scikit_learns(num_classes: int, batch_size: int) -> None:
    truth, logits = made_up(num_classes)
    classes = range(num_classes)
    scores = scores_of(truth, logits, batch_size=batch_size)
    odds = np.exp(logits.astype(np.float64))
    odds /= odds.sum(axis=1, keepdims=True)
    guesses = logits.argmax(axis=1)
    assert scores.num_examples == 40
    assert scores.top1 == pytest.approx(metrics.accuracy_score(truth, guesses))
    loss = metrics.log_loss(truth, odds, labels=classes)
    assert scores.loss == pytest.approx(loss, rel=1e-12)
    np.testing.assert_array_equal(
        scores.confusion(), metrics.confusion_matrix(truth, guesses, labels=classes)
    )
    expected = metrics.precision_recall_fscore_support(
        truth, guesses, labels=classes, zero_division=0
    )
    figures = [
        (one.precision, one.recall, one.f1, one.num_examples)
        for one in scores.per_class()
    ]
    np.testing.assert_allclose(figures, np.transpose(expected))
    assert [one.name for one in scores.per_class()] == list(NAMES[:num_classes])
    if num_classes < 5:
        assert scores.top5 is None
    else:
        best = np.argsort(-logits, axis=1, kind="stable")[:, :5]
        assert scores.top5 == (best == truth[:, None]).any(axis=1).mean()


def test_of_equal_logits_the_earlier_class_is_ahead() -> None:
    scores = scores_of(np.arange(7), np.zeros((7, 7), np.float32))
    assert scores.top1 == 1 / 7
    assert scores.top5 == 5 / 7


def test_huge_logits_give_finite_losses() -> None:
    labels, logits = np.array([0, 1]), np.array([[1e4, 0.0], [1e4, 0.0]], np.float32)
    assert scores_of(labels, logits).loss == pytest.approx(5000.0)


def test_the_json() -> None:
    scores = scores_of(*made_up(2), ("cat", "dog"))
    values = json.loads(json.dumps(scores.to_json()))
    assert values["num_examples"] == 40
    assert values["class_names"] == ["cat", "dog"]
    assert values["confusion"] == scores.confusion().tolist()
    assert values["confusion_left_out"] is values["top5"] is None
    assert set(values["per_class"][0]) == {
        *("name", "precision", "recall", "f1", "num_examples")
    }


def many_classes(num_classes: int) -> Scores:
    """Every class met once; each is taken for the next one."""
    names = tuple(f"class {number}" for number in range(num_classes))
    scores = Scores(names)
    for start in range(0, num_classes, 100):
        labels = np.arange(start, min(start + 100, num_classes))
        logits = np.zeros((len(labels), num_classes), np.float32)
        logits[np.arange(len(labels)), (labels + 1) % num_classes] = 1
        scores.add(labels, logits)
    return scores


@pytest.mark.parametrize("more", [0, 1])
def test_a_matrix_of_more_than_a_thousand_classes_is_left_out(more: int) -> None:
    values = many_classes(MATRIX_CLASSES + more).to_json()
    if more:
        assert values["confusion"] is None
        assert "--confusion FILE" in values["confusion_left_out"]
    else:
        np.testing.assert_array_equal(
            values["confusion"], np.roll(np.eye(MATRIX_CLASSES, dtype=int), 1, axis=1)
        )


@pytest.mark.slow
def test_ten_thousand_classes_take_little_room(tmp_path: Path) -> None:
    scores = many_classes(10_000)
    assert len(json.dumps(scores.to_json())) < 4e6  # with the matrix: 300 million
    assert scores.pairs().nbytes < 1e6
    scores.save_confusion(tmp_path / "confusion.csv")
    rows = list(csv.reader((tmp_path / "confusion.csv").read_text().splitlines()))
    assert rows[:2] == [["true", "predicted", "count"], ["class 0", "class 1", "1"]]
    assert len(rows) == 1 + 10_000
    # A hundred neighbours a cell: all but the last of them are taken for each other.
    cells = scores.confusion(100)
    np.testing.assert_array_equal(np.diag(cells), 99)
    np.testing.assert_array_equal(cells[np.arange(99), np.arange(1, 100)], 1)


def test_class_names_are_written_as_they_are(tmp_path: Path) -> None:
    names = (os.fsdecode(b"caf\xe9"), "a,b")
    scores = scores_of(
        np.array([0, 1, 1]), np.eye(2, dtype=np.float32)[[1, 1, 1]], names
    )
    scores.save_confusion(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().splitlines() == [
        *(b"true,predicted,count", b'caf\xe9,"a,b",1', b'"a,b","a,b",2')
    ]
