"""TensorBoard's log of a run: every epoch's metrics, of training and of validation."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from alexnet.model.training.history import EpochRecord


class EpochLog:
    """Writes epochs where TensorBoard finds them: in `train` and `validation`."""

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
        }
        self._write("train", record.epoch, training)
        if record.val_loss is not None and record.val_accuracy is not None:
            validation = {"loss": record.val_loss, "accuracy": record.val_accuracy}
            self._write("validation", record.epoch, validation)

    def _write(self, split: str, epoch: int, scalars: dict[str, float]) -> None:
        if split not in self._writers:
            path = str(self._folder / split)
            self._writers[split] = tf.summary.create_file_writer(path)
        with self._writers[split].as_default():
            for name, value in scalars.items():
                tf.summary.scalar(f"epoch_{name}", value, step=epoch - 1)
        self._writers[split].flush()
