"""Figures against scikit-learn's, and the same at any batch size."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from model.checkpoints import Checkpoints
from model.evaluation import (
    Predictions,
    evaluate,
    load_classifier,
    make_report,
    predict_records,
)
from model.run import RunFolder
from pipeline.errors import DataError, RunError
from pipeline.reader import open_records
from tests.conftest import NUM_HELD_OUT, NUM_TRAIN, TRAIN_SIDE

NAMES = tuple("abcdefg")


def made_up(num_classes: int) -> Predictions:
    """Forty predictions; nobody ever guesses the last class."""
    rng = np.random.default_rng(num_classes)
    logits = rng.normal(scale=2, size=(40, num_classes)).astype(np.float32)
    logits[:, -1] = -9
    return Predictions(rng.integers(0, num_classes, 40), logits)


@pytest.mark.filterwarnings("ignore:'k' .5. greater than or equal")
@pytest.mark.parametrize("num_classes", [2, 5, 7])
def test_figures_are_scikit_learns(num_classes: int) -> None:
    found = made_up(num_classes)
    truth, classes = found.labels, range(num_classes)
    report = make_report(found, "validation", 3, NAMES[:num_classes])
    odds = np.exp(found.logits.astype(np.float64))
    odds /= odds.sum(axis=1, keepdims=True)
    guesses = found.logits.argmax(axis=1)
    assert report.num_examples == 40
    assert report.top1 == pytest.approx(metrics.accuracy_score(truth, guesses))
    loss = metrics.log_loss(truth, odds, labels=classes)
    assert report.loss == pytest.approx(loss, rel=1e-6)
    np.testing.assert_array_equal(
        report.confusion, metrics.confusion_matrix(truth, guesses, labels=classes)
    )
    expected = metrics.precision_recall_fscore_support(
        truth, guesses, labels=classes, zero_division=0
    )
    figures = [
        (one.precision, one.recall, one.f1, one.num_examples)
        for one in report.per_class
    ]
    np.testing.assert_allclose(figures, np.transpose(expected))
    assert [one.name for one in report.per_class] == list(NAMES[:num_classes])
    if num_classes < 5:
        assert report.top5 is None
    else:
        top5 = metrics.top_k_accuracy_score(truth, found.logits, k=5, labels=classes)
        assert report.top5 == pytest.approx(top5)


def test_the_reports_json() -> None:
    report = make_report(made_up(2), "all", 3, ("cat", "dog"))
    values = json.loads(json.dumps(report.to_json()))
    assert (values["split"], values["epoch"], values["num_examples"]) == ("all", 3, 40)
    assert values["class_names"] == ["cat", "dog"]
    assert values["confusion"] == report.confusion.tolist()
    assert values["top5"] is None
    assert set(values["per_class"][0]) == {
        *("name", "precision", "recall", "f1", "num_examples")
    }


def test_huge_logits_give_finite_losses() -> None:
    found = Predictions(np.array([0, 1]), np.array([[1e4, 0.0], [1e4, 0.0]]))
    assert make_report(found, "all", 1, ("a", "b")).loss == pytest.approx(5000.0)


def stored(records: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of raw records, read from the files by hand."""
    pixels, labels = [], []
    for path in sorted(records.glob(f"{split}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            data = feature["image/raw"].bytes_list.value[0]
            pixels.append(np.frombuffer(data, np.uint8).reshape(2 * [TRAIN_SIDE] + [3]))
            labels += feature["image/class/label"].int64_list.value
    return np.stack(pixels), np.array(labels)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_every_example_once_at_any_batch_size(
    trained_run: RunFolder, train_records: Path, batch_size: int
) -> None:
    classifier, _ = load_classifier(trained_run)
    records = open_records(train_records)
    found = predict_records(classifier, records, "validation", batch_size)
    pixels, labels = stored(train_records, "validation")
    np.testing.assert_array_equal(found.labels, labels)
    logits = classifier.eval_logits(tf.constant(pixels)).numpy()
    np.testing.assert_allclose(found.logits, logits, atol=1e-5)


def test_all_is_both_splits(trained_run: RunFolder) -> None:
    told: list[tuple[int, int]] = []
    whole = evaluate(
        trained_run, split="all", progress=lambda *counts: told.append(counts)
    )
    train, held_out = (evaluate(trained_run, split=s) for s in ("train", "validation"))
    total = NUM_TRAIN + NUM_HELD_OUT
    assert (train.num_examples, held_out.num_examples) == (NUM_TRAIN, NUM_HELD_OUT)
    np.testing.assert_array_equal(whole.confusion, train.confusion + held_out.confusion)
    loss = (train.loss * NUM_TRAIN + held_out.loss * NUM_HELD_OUT) / total
    assert whole.loss == pytest.approx(loss, rel=1e-9)
    assert told[-1] == (total, total)


def test_it_is_what_training_said_of_its_last_epoch(trained_run: RunFolder) -> None:
    last = trained_run.load_history()[-1]
    report = evaluate(trained_run)
    assert report.epoch == last.epoch == 2
    assert report.loss == pytest.approx(last.val_loss, rel=1e-4)
    assert report.top1 == pytest.approx(last.val_accuracy)


def test_last_and_best(trained_run: RunFolder, tmp_path: Path) -> None:
    """The best checkpoint calls everything the first class, the last the second."""
    run = RunFolder(tmp_path / "run")
    run.save_config(trained_run.load_config())
    classifier, _ = load_classifier(trained_run)
    classifier.compile("sgd")
    checkpoints = Checkpoints(run, classifier)
    bias = classifier.network.trainable_variables[-1]
    for epoch, values in ((1, [99.0, 0.0]), (2, [0.0, 99.0])):
        bias.assign(values)
        checkpoints.save(10 * epoch, epoch, is_best=epoch == 1)
    for which, epoch, guess in (("best", 1, 0), ("last", 2, 1)):
        report = evaluate(run, which=which)
        assert report.epoch == epoch
        assert report.confusion[:, guess].sum() == report.num_examples


def test_records_of_other_classes_are_refused(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    config = replace(trained_run.load_config(), class_names=("fox", "owl"))
    run.save_config(config)
    with pytest.raises(RunError, match=r"tells fox, owl apart; .* hold cat, dog"):
        evaluate(run, train_records)


def test_records_of_another_size_are_refused(
    trained_run: RunFolder, record_sets: dict[str, Path]
) -> None:
    with pytest.raises(RunError, match=r"hold 16 px\. Build them with --side 72"):
        evaluate(trained_run, record_sets["raw"])


def test_an_unknown_split_is_refused(trained_run: RunFolder) -> None:
    with pytest.raises(DataError, match="no test examples"):
        evaluate(trained_run, split="test")


def test_a_checkpoint_of_another_network_is_refused(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(trained_run.path, run.path)
    config = run.load_config()
    run.save_config(replace(config, network=replace(config.network, width=0.125)))
    with pytest.raises(RunError, match="does not fit this network"):
        evaluate(run)
