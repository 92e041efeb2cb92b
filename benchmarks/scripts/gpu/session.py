"""A training on real records without a run folder, on one device.

The batches, the step and the callbacks of `fit` that belong to a step; nothing is
saved, validated or shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import keras

from alexnet.benchmarks.train_step import STEPS_PER_EPOCH
from alexnet.model.training.callbacks import EpochRecorder, LossGuard, Start
from alexnet.model.training.gpu_monitor import GpuMonitor, Sample
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.optimizer import make_learning_rate
from alexnet.model.training.plan import make_run_config
from alexnet.model.training.run import RunFolder
from alexnet.model.training.training import as_function, make_classifier
from alexnet.pipeline.read.dataset import train_dataset
from alexnet.pipeline.read.image_folder import open_data

# The driver renews its figure every sixth of a second to every second
# (nvmlDeviceGetUtilizationRates).
SAMPLE_SECONDS = 0.1


def watch_gpu() -> GpuMonitor:
    """What samples the first GPU's load; nothing where no driver answers."""
    return GpuMonitor(1, SAMPLE_SECONDS)


class Fitted(NamedTuple):
    """What some steps took, and the GPU's load meanwhile."""

    epoch: EpochRecord
    samples: list[Sample]


class Session:
    """Fresh weights and endless batches; the settings are those of `fit`."""

    def __init__(self, data: Path, settings: dict[str, Any]) -> None:
        """Open the data and compose its pipeline.

        Raises:
            ConfigError: the settings do not fit each other or the records.
            DataError: the records cannot be used.
        """
        self._records = open_data(data)
        one_device = {**settings, "strategy": "none"}
        config = make_run_config(data, self._records, one_device, None)
        self.train = config.train
        self.hardware = set_up_hardware(self.train)
        keras.utils.set_random_seed(self.train.seed)
        self._classifier = make_classifier(
            config.network, config.augment, self.train, self.hardware, STEPS_PER_EPOCH
        )
        # Where a loss that blows up would be told to lie; nothing is written there.
        self._run = RunFolder(data)
        self.step = as_function(self._classifier, self.hardware)

    def batches(self) -> tf.data.Dataset:
        """As `fit` reads them, copied to the device ahead of time."""
        return train_dataset(
            self._records, self.train, device=self.hardware.copy_device
        )

    def fit(self, steps: int, watch: GpuMonitor) -> Fitted:
        """Train for `steps` while buffers fill, then for as many that count."""
        history: list[EpochRecord] = []
        loads: list[list[Sample]] = []
        start = Start(0, 0, steps)
        rate = make_learning_rate(self.train, STEPS_PER_EPOCH)
        recorder = EpochRecorder(
            self._run,
            history,
            start,
            self.train.batch_size,
            rate,
            lambda record: loads.append(watch.take()),
            saves=False,
        )
        self._classifier.fit(
            self.batches(),
            epochs=2,
            steps_per_epoch=steps,
            callbacks=[LossGuard(self._run, start, rate), recorder],
            verbose=0,
        )
        return Fitted(history[-1], loads[-1])
