"""The average of weights against sums by hand; what of a run it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.results.evaluation import evaluate
from alexnet.model.training.fit import fit
from alexnet.model.training.moving_average import AveragedClassifier
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.augment.presets import preset
from tests.conftest import TINY_RUN
from tests.model.runs import checkpointed, require_same

DECAY = 0.9


def tiny_network() -> keras.Model:
    layers = [keras.Input((2, 2, 3)), keras.layers.BatchNormalization()]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(2)])


def test_every_weight_is_averaged_and_a_young_average_forgets_sooner() -> None:
    network, rng = tiny_network(), np.random.default_rng(4)
    average = AveragedClassifier(tiny_network(), preset("none"), DECAY)
    follow = tf.function(average.follow)
    expected: list[np.ndarray] = []
    for step in range(100):
        weights = [rng.normal(size=w.shape) for w in network.get_weights()]
        network.set_weights(weights)
        follow(network, tf.constant(step, tf.int64))
        # TensorFlow's ramp, (1 + n) / (10 + n), from n = -1.
        decay = min(DECAY, step / (step + 9))
        old = expected or weights
        expected = [
            decay * a + (1 - decay) * w for a, w in zip(old, weights, strict=True)
        ]
        for ours, theirs in zip(average.network.get_weights(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert len(expected) == 6  # scale, offset, mean, variance, kernel, bias


@pytest.mark.slow
def test_the_average_is_validated_kept_and_gone_on_with(
    train_records: Path, tmp_path: Path
) -> None:
    """To the last bit, beside what else a recipe may hold."""
    settings: dict[str, Any] = {
        **{**TINY_RUN, "ema": DECAY, "decay_epochs": 2, "optimizer": "lamb"},
        **{"label_smoothing": 0.1, "class_weights": "balanced"},
        **{"clip_norm": 0.5, "accumulate": 2},
    }
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    report = fit(train_records, run=whole, **settings)
    fit(train_records, run=parts, **{**settings, "epochs": 1})
    fit(run=parts, resume=True, epochs=2)
    require_same(parts, whole)
    for which in ("best", "last"):
        scores = evaluate(whole, checkpoint=which).scores
        epoch = report.best if which == "best" else report.last
        assert epoch is not None
        assert scores.loss == pytest.approx(epoch.val_loss, rel=1e-4)
    state = checkpointed(whole)
    names = [name for name in state if name.startswith("network/")]
    pairs = [
        (state[name], state[name.replace("network/", "trained/")]) for name in names
    ]
    assert pairs
    assert all(np.abs(average - trained).max() > 0 for average, trained in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("decay", [DECAY, 0.0])
def test_the_average_changes_no_training(
    trained_run: RunFolder, train_records: Path, tmp_path: Path, decay: float
) -> None:
    """0, which takes a recipe's average away, keeps none."""
    run = RunFolder(tmp_path / "run")
    report = fit(train_records, run=run, **{**TINY_RUN, "ema": decay})
    losses = [record.loss for record in trained_run.load_history()]
    assert [record.loss for record in report.history] == losses
    assert any(name.startswith("trained/") for name in checkpointed(run)) == bool(decay)


@pytest.mark.slow
def test_without_a_step_the_average_is_what_the_run_was_given(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    settings = {**TINY_RUN, "ema": DECAY, "epochs": 0, "init_from": trained_run.path}
    fit(train_records, run=tmp_path / "run", **settings)
    given, kept = (
        evaluate(run).scores.loss for run in (trained_run, RunFolder(tmp_path / "run"))
    )
    assert kept == pytest.approx(given, rel=1e-6)
