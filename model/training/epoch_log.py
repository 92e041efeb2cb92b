"""TensorBoard's log of a run: every epoch's metrics, and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from alexnet.model.training.history import EpochRecord

# Below the log's folder; what TensorBoard calls runs.
LOGS = TRAIN, VALIDATION, PICTURES = "train", "validation", "pictures"


class EpochLog:
    """Writes epochs and pictures where TensorBoard finds them: in `LOGS`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, record: EpochRecord) -> None:
        """Have an epoch's scalars on the disk, tagged as Keras tags them."""
        training = {
            "loss": record.loss,
            "accuracy": record.accuracy,
            "learning_rate": record.learning_rate,
            "images_per_second": record.images_per_second,
            "input_wait_share": record.input_wait_share,
            "skipped_steps": record.skipped_steps,
        }
        if record.gpu_busy_percent is not None:
            training["gpu_busy_percent"] = record.gpu_busy_percent
        self._write(TRAIN, record.epoch, training)
        if record.val_loss is not None and record.val_accuracy is not None:
            validation = {"loss": record.val_loss, "accuracy": record.val_accuracy}
            self._write(VALIDATION, record.epoch, validation)

    def write_picture(self, name: str, pixels: np.ndarray, epoch: int) -> None:
        """Have a picture on the disk, uint8 [height, width, channels]."""
        with self._writer(PICTURES).as_default():
            tf.summary.image(name, pixels[None], step=epoch - 1)
        self._writer(PICTURES).flush()

    def _write(self, log: str, epoch: int, scalars: dict[str, float]) -> None:
        with self._writer(log).as_default():
            for name, value in scalars.items():
                tf.summary.scalar(f"epoch_{name}", value, step=epoch - 1)
        self._writer(log).flush()

    def _writer(self, log: str) -> tf.summary.SummaryWriter:
        if log not in self._writers:
            path = str(self._folder / log)
            self._writers[log] = tf.summary.create_file_writer(path)
        return self._writers[log]
