"""`fit` as a function: settings by name, networks of one's own, and what uses them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow import keras

from alexnet.model.config import SAVED_NETWORK
from alexnet.model.results.evaluation import evaluate
from alexnet.model.results.export import export
from alexnet.model.results.prediction import predict
from alexnet.model.training.fit import fit
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import ConfigError, RunError
from tests.conftest import BATCH, NUM_HELD_OUT, TINY_RUN
from tests.model.runs import figures, require_same

SIDE = 32
OWN: dict[str, Any] = {"image_size": SIDE, "batch_size": BATCH, "seed": 3}


def build(num_classes: int, image_size: int) -> keras.Model:
    """A network of Keras's own layers; this module can be imported."""
    return keras.Sequential(
        [
            keras.Input((image_size, image_size, 3)),
            keras.layers.Conv2D(8, 5, strides=4),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(num_classes, kernel_regularizer="l2"),
        ]
    )


def test_fit_is_the_command(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    report = fit(str(train_records), run=str(tmp_path / "run"), **TINY_RUN)
    require_same(RunFolder(report.run), trained_run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resume": True, "overwrite": True}, "`resume=True` goes on"),
        ({"resume": True}, "`resume=True` needs `run`"),
        ({"epoch": 3}, r"unknown settings: epoch \(known: .*, epochs, "),
        ({"num_classes": 3}, "unknown settings: num_classes"),
        ({"image_size": 32}, "67 pixels or more"),
        ({"network": "nowhere:build"}, "No module named 'nowhere'"),
    ],
)
def test_options_that_do_not_fit_are_told(
    train_records: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ConfigError, match=message):
        fit(train_records, **{"image_size": SIDE, **options})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_network_of_ones_own_goes_all_the_way(
    train_records: Path, tmp_path: Path
) -> None:
    """Trained in two parts as in one, then evaluated, predicted and exported."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(train_records, run=whole, network=build, epochs=2, **OWN)
    fit(train_records, run=parts, network=build, epochs=1, decay_epochs=2, **OWN)
    report = fit(run=parts, resume=True, epochs=2)
    require_same(RunFolder(parts), RunFolder(whole))
    config = RunFolder(parts).load_config()
    assert config.network.network == f"{__name__}:build"
    assert evaluate(parts, checkpoint="last").scores.loss == pytest.approx(
        report.last.val_loss, rel=1e-4
    )
    photo = tmp_path / "photo.png"
    Image.new("RGB", (72, 72), (200, 200, 200)).save(photo)
    (prediction,) = predict(str(parts), str(photo)).predictions
    assert sum(prediction.probabilities) == pytest.approx(1)
    export(parts, tmp_path / "network.keras", format="keras")
    levels = np.full((1, SIDE, SIDE, 3), 200, np.float32)
    exported = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(
        exported(levels).numpy()[0], prediction.probabilities, atol=0.02
    )
    export(parts, tmp_path / "saved")
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["network"]
    answer = served(images=tf.constant(levels, tf.uint8))["probabilities"]
    np.testing.assert_allclose(answer.numpy(), exported(levels).numpy(), atol=1e-5)


@pytest.mark.slow
def test_a_network_without_a_name_leaves_its_architecture(
    train_records: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    settings: dict[str, Any] = {**OWN, "mixed_precision": True}
    nameless = lambda *sizes: build(*sizes)  # noqa: E731
    fit(train_records, run=run, network=nameless, epochs=1, **settings)
    assert run.load_config().network.network == SAVED_NETWORK
    assert evaluate(run).scores.num_examples == NUM_HELD_OUT
    with pytest.raises(ConfigError, match=r"a function without a name\. Go on"):
        fit(run=run, resume=True, epochs=2)
    report = fit(run=run, network=nameless, resume=True, epochs=2)
    assert len(figures(report.history)) == 2
    run.network_path.write_text("{}")
    with pytest.raises(RunError, match=r"network.json holds no network"):
        evaluate(run)
    shutil.rmtree(run.path)
