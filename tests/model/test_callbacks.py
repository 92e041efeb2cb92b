"""Records, checkpoints and progress, each with a stand-in for what is around it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from model.callbacks import (
    Checkpoints,
    CheckpointSaver,
    EpochRecorder,
    ProgressCallback,
    load_network,
)
from model.optimizer import LearningRate
from model.run import EpochRecord, RunFolder
from pipeline.errors import RunError
from tests.conftest import RecordedProgress

STEPS, BATCH = 4, 8
FIGURES = {"loss": 0.5, "accuracy": 0.75}
RECORD = EpochRecord(1, 4, 0.1, 0.5, 0.75, 0.6, 0.5, 1.0, 0.0, 1.0)


class Clock:
    """An input clock that always shows a quarter of a second."""

    def take(self) -> float:
        return 0.25


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def recorder(
    run: RunFolder, history: list[EpochRecord], told: list[EpochRecord], saves: bool
) -> EpochRecorder:
    rate = LearningRate("cosine", 0.1, 0, 8 * STEPS)
    made = EpochRecorder(run, history, STEPS, BATCH, rate, told.append, saves)
    made.model = SimpleNamespace(clock=Clock())
    return made


def test_an_epochs_record(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 102.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    history: list[EpochRecord] = []
    told: list[EpochRecord] = []
    made = recorder(run, history, told, saves=True)
    made.on_epoch_begin(2)
    made.on_test_begin()  # two seconds later; nobody looks at a clock after that
    made.on_epoch_end(2, {**FIGURES, "val_loss": 0.25, "val_accuracy": 1.0})
    (record,) = history
    rate = 0.1 * (1 + math.cos(math.pi * (3 * STEPS - 1) / (8 * STEPS))) / 2
    assert record.learning_rate == pytest.approx(rate, rel=1e-5)
    assert record == EpochRecord(
        epoch=3,
        step=3 * STEPS,
        learning_rate=record.learning_rate,
        loss=0.5,
        accuracy=0.75,
        val_loss=0.25,
        val_accuracy=1.0,
        images_per_second=STEPS * BATCH / 2.0,
        input_wait_share=0.125,
        seconds=2.0,
    )
    assert told == run.load_history() == history


def test_without_validation_and_on_another_worker(run: RunFolder) -> None:
    history: list[EpochRecord] = []
    made = recorder(run, history, [], saves=False)
    made.on_epoch_begin(0)
    made.on_epoch_end(0, FIGURES)
    assert (history[0].val_loss, history[0].val_accuracy) == (None, None)
    assert not run.history_path.exists()


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(run: RunFolder, loss: float) -> None:
    history: list[EpochRecord] = []
    made = recorder(run, history, [], saves=True)
    made.on_epoch_begin(1)
    with pytest.raises(RunError, match=f"the loss is {loss} in epoch 2") as error:
        made.on_epoch_end(1, {**FIGURES, "loss": loss})
    assert "--learning-rate" in str(error.value)
    assert history == run.load_history() == []


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.5, 0.7, 0.6, 0.7, 0.8], [True, True, False, False, True]),
        ([0.9, 0.1], [True, False]),
    ],
)
@pytest.mark.parametrize("validates", [True, False])
def test_the_best_is_the_first_with_the_highest_accuracy(
    scores: list[float], best: list[bool], validates: bool
) -> None:
    history: list[EpochRecord] = []
    saved: list[tuple[int, bool]] = []
    stand_in: Any = SimpleNamespace(save=lambda *args: saved.append(args))
    saver = CheckpointSaver(stand_in, history)
    for epoch, score in enumerate(scores):
        # Where there is a validation, the training's accuracy must not matter.
        history.append(
            replace(RECORD, accuracy=-epoch, val_accuracy=score)
            if validates
            else replace(RECORD, accuracy=score, val_accuracy=None)
        )
        saver.on_epoch_end(epoch)
    assert saved == [(epoch + 1, is_best) for epoch, is_best in enumerate(best)]


def tiny_classifier(units: int = 3, value: float = 0.0) -> Any:
    """What Checkpoints needs of a classifier: a network and its optimizer."""
    network = keras.Sequential([keras.layers.Dense(units, input_shape=(2,))])
    for variable in network.variables:
        variable.assign(tf.fill(variable.shape, value))
    return SimpleNamespace(network=network, optimizer=keras.optimizers.SGD(0.5, 0.9))


def step(classifier: Any) -> None:
    variables = classifier.network.trainable_variables
    ones = [tf.ones_like(variable) for variable in variables]
    classifier.optimizer.apply_gradients(zip(ones, variables, strict=True))


def test_a_restored_state_takes_the_same_next_step(run: RunFolder) -> None:
    first, second = tiny_classifier(value=1.0), tiny_classifier(value=7.0)
    checkpoints = Checkpoints(run, first)
    assert checkpoints.restore_last() == 0
    step(first)
    checkpoints.save(1, is_best=True)
    assert Checkpoints(run, second).restore_last() == 1
    assert int(second.optimizer.iterations) == 1
    step(first)
    step(second)
    for ours, theirs in zip(
        first.network.variables, second.network.variables, strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_last_and_best_are_kept_apart_and_one_of_each(run: RunFolder) -> None:
    classifier = tiny_classifier()
    checkpoints = Checkpoints(run, classifier)
    for epoch, is_best in ((1, True), (2, True), (3, False)):
        classifier.network.variables[0].assign(tf.fill([2, 3], float(epoch)))
        checkpoints.save(epoch, is_best)
    for which, epoch in (("last", 3), ("best", 2)):
        network = tiny_classifier().network
        assert load_network(run, network, which) == epoch
        np.testing.assert_array_equal(network.variables[0].numpy(), epoch)
        files = run.checkpoints_path(which).glob("*.index")
        assert [path.name for path in files] == [f"ckpt-{epoch}.index"]


def test_another_worker_restores_the_chiefs_and_leaves_nothing(run: RunFolder) -> None:
    chief, other = tiny_classifier(value=1.0), tiny_classifier(value=2.0)
    step(chief)
    Checkpoints(run, chief).save(1, is_best=True)
    worker = Checkpoints(run, other, is_chief=False)
    assert worker.restore_last() == 1
    for epoch in (2, 3):
        worker.save(epoch, is_best=True)
    kept = {path.name for path in run.checkpoints_path("last").parent.iterdir()}
    assert kept == {"last", "best"}
    assert Checkpoints(run, chief).restore_last() == 1


def test_a_checkpoint_of_another_network_is_named(run: RunFolder) -> None:
    Checkpoints(run, tiny_classifier(3)).save(1, is_best=False)
    with pytest.raises(RunError, match="ckpt-1 cannot be restored"):
        Checkpoints(run, tiny_classifier(4)).restore_last()
    with pytest.raises(RunError, match="ckpt-1 does not fit this network"):
        load_network(run, tiny_classifier(4).network)


def test_a_run_without_a_checkpoint_says_so(run: RunFolder) -> None:
    with pytest.raises(RunError, match="best holds no checkpoint yet"):
        load_network(run, tiny_classifier().network, "best")


def test_progress_counts_the_runs_steps() -> None:
    progress = RecordedProgress()
    callback = ProgressCallback(progress, STEPS)
    callback.on_epoch_begin(2)
    for batch in range(STEPS):
        callback.on_train_batch_end(batch, FIGURES)
    assert progress.steps == [9, 10, 11, 12]
