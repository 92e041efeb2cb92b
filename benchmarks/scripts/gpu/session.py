"""A training on real records without a run folder, on one device.

The batches and the step of `fit`; nothing is saved, validated or shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import keras

from alexnet.benchmarks.train_step import STEPS_PER_EPOCH
from alexnet.model.training.execution import Execution, step_function
from alexnet.model.training.gpu_monitor import GpuMonitor, Sample
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.plan import make_run_config
from alexnet.model.training.training import make_classifier
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

    images_per_second: float
    seconds: float
    input_wait_share: float
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
        self.step = step_function(self._classifier, self.hardware.strategy)

    def batches(self) -> tf.data.Dataset:
        """As `fit` reads them, copied to the device ahead of time."""
        return train_dataset(
            self._records, self.train, device=self.hardware.copy_device
        )

    def fit(self, steps: int, watch: GpuMonitor) -> Fitted:
        """Train for `steps` while buffers fill, then for as many that count."""
        execution = Execution(
            self._classifier,
            self.hardware.strategy,
            self.train.steps_per_execution,
            device_lags=self.hardware.num_gpus > 0,
        )
        batches = iter(self.batches())
        execution.train(batches, steps)
        watch.take()
        seconds, waited = execution.train(batches, steps)[1:]
        images = steps * self.train.batch_size
        return Fitted(images / seconds, seconds, waited / seconds, watch.take())
