"""TensorBoard finds every figure of an epoch, and the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from alexnet.model.training.epoch_log import EpochLog
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.run import RunFolder
from tests.conftest import IMAGE_SIDE

RECORD = EpochRecord(2, 20, 0.1, 0.75, 0.5, None, None, 1e3, 0.25, 1.5, 3, 96.0)


def events(folder: Path) -> Any:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def scalars(folder: Path) -> dict[str, float]:
    """The last value of each scalar in a log."""
    found = events(folder)
    return {
        name: float(tf.make_ndarray(found.Tensors(name)[-1].tensor_proto))
        for name in found.Tags()["tensors"]
    }


def test_what_an_epoch_gave_is_logged(tmp_path: Path) -> None:
    EpochLog(tmp_path).write(RECORD)
    assert scalars(tmp_path / "train") == pytest.approx(
        {
            "epoch_loss": 0.75,
            "epoch_accuracy": 0.5,
            "epoch_learning_rate": 0.1,
            "epoch_images_per_second": 1000,
            "epoch_input_wait_share": 0.25,
            "epoch_skipped_steps": 3,
            "epoch_gpu_busy_percent": 96,
        }
    )
    assert not (tmp_path / "validation").exists()


def test_a_picture_is_logged_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    EpochLog(tmp_path).write_picture("sheet", pixels, epoch=3)
    (event,) = events(tmp_path / "pictures").Tensors("sheet")
    width, height, png = event.tensor_proto.string_val
    assert (event.step, width, height) == (2, b"7", b"5")
    np.testing.assert_array_equal(tf.io.decode_png(png), pixels)


def test_a_run_logs_augmented_samples(trained_run: RunFolder) -> None:
    (event,) = events(trained_run.logs_path / "pictures").Tensors("augmented_samples")
    width, height, png = event.tensor_proto.string_val
    rows = tf.io.decode_png(png).numpy().reshape(5, IMAGE_SIDE, 8, IMAGE_SIDE, 3)
    assert (int(width), int(height)) == (8 * IMAGE_SIDE, 5 * IMAGE_SIDE)
    plain, *samples = rows.swapaxes(1, 2)[0]
    assert any((sample != plain).any() for sample in samples)
    assert "epoch_gpu_busy_percent" not in scalars(trained_run.logs_path / "train")
