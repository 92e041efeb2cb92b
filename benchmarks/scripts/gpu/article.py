"""The article's own training: Keras's ImageDataGenerator and a plain `fit`.

Batches of 32 in float32, on a folder of photos as the article has them. Beside it
stands `alexnet fit` on records of the same photos; see this folder's README.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.benchmarks.loaders.article import (
    BATCH_SIZE,
    SIDE,
    article_generator,
    require_article,
)
from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.pipeline.errors import AlexnetError, DataError
from alexnet.pipeline.source.scan import scan

LEARNING_RATE = 0.001
# Kernels are compiled in the first of them.
WARM_UP_STEPS = 10
# The driver renews its figure every sixth of a second to every second
# (nvmlDeviceGetUtilizationRates).
SAMPLE_SECONDS = 0.1


def measure_article(photos: Path, steps: int, width: float) -> dict[str, Any]:
    """Time the article's training; an epoch of the photos is the most it trains.

    Raises:
        ConfigError: what ImageDataGenerator needs is not installed.
        DataError: the photos are in no folder, or cannot be used.
    """
    require_article()
    if not photos.is_dir():
        raise DataError(
            f"no such folder: {photos}. Expected one of photos: the article's generator"
            " reads no archives."
        )
    from tensorflow import keras

    from alexnet.benchmarks.measure import wait_for_devices
    from alexnet.model.network.alexnet import build_network
    from alexnet.model.training.gpu_monitor import GpuMonitor, Load
    from alexnet.model.training.hardware import set_up_hardware

    source = scan(photos)
    files = [(file.key, str(file.label)) for file in source.files]
    batches = article_generator(photos, files)
    hardware = set_up_hardware(TrainConfig(strategy="none"))
    classes = len(source.class_names)
    model = build_network(
        NetworkConfig(num_classes=classes, image_size=SIDE, width=width)
    )
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        ["accuracy"],
    )
    steps = min(steps, len(batches))
    with GpuMonitor(1, SAMPLE_SECONDS) as monitor:
        model.fit(batches, steps_per_epoch=min(steps, WARM_UP_STEPS), verbose=0)
        monitor.take()
        start = time.perf_counter()
        model.fit(batches, steps_per_epoch=steps, verbose=0)
        wait_for_devices()
        seconds = time.perf_counter() - start
        samples = monitor.take()
    return {
        "hardware": hardware.describe(),
        "steps": steps,
        "batch_size": BATCH_SIZE,
        "step_milliseconds": 1e3 * seconds / steps,
        "images_per_second": steps * BATCH_SIZE / seconds,
        **asdict(Load.of(samples)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures as JSON; returns the exit code."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.gpu.article", description=__doc__
    )
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--width", type=float, default=1.0, help="as of `alexnet fit`")
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(measure_article(options.photos, options.steps, options.width)))
    except AlexnetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
