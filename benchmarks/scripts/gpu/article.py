"""The article's own training beside ours, on the same photos for as many steps.

Keras's ImageDataGenerator, a plain `fit`, batches of 32 in float32; then alexnet with
the article's settings, and with its own. The picture shows how busy each keeps the GPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alexnet.benchmarks.loaders.article import BATCH_SIZE, SIDE, require_article
from alexnet.benchmarks.scripts.gpu.attempt import attempt
from alexnet.benchmarks.scripts.gpu.report import (
    Report,
    add_settings,
    make_parser,
    names_of,
    read_settings,
    run,
)
from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.training.gpu_monitor import Load, Sample
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import scan

ARTICLE = "the article's: ImageDataGenerator, Keras"
SAME = "alexnet, the article's settings"
OWN = "alexnet fit --mixed-precision"
MEASURE_ARTICLE = "alexnet.benchmarks.scripts.gpu.article:measure_article"
MEASURE_OURS = "alexnet.benchmarks.scripts.gpu.article:measure_ours"
# The article's optimizer, augmentation and batch.
ITS_SETTINGS = {
    "augment": "article",
    "optimizer": "sgd",
    "learning_rate": 0.001,
    "schedule": "constant",
    "weight_decay": 0,
    "loss": "one-hot",
    "batch_size": BATCH_SIZE,
}
# Kernels are compiled in the first of them.
WARM_UP_STEPS = 10


def measure_article(photos: str, steps: int, network: dict[str, Any]) -> dict[str, Any]:
    """The article's code on a folder of photos; an epoch is the most it trains."""
    from tensorflow import keras

    from alexnet.benchmarks.loaders.article import article_generator
    from alexnet.benchmarks.measure import wait_for_devices
    from alexnet.benchmarks.scripts.gpu.session import watch_gpu
    from alexnet.model.network.alexnet import build_network
    from alexnet.model.training.hardware import set_up_hardware

    source = scan(Path(photos))
    files = [(file.key, str(file.label)) for file in source.files]
    batches = article_generator(Path(photos), files)
    hardware = set_up_hardware(TrainConfig(strategy="none"))
    classes = len(source.class_names)
    model = build_network(
        NetworkConfig(num_classes=classes, image_size=SIDE, **network)
    )
    model.compile(
        keras.optimizers.SGD(ITS_SETTINGS["learning_rate"]),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        ["accuracy"],
    )
    steps = min(steps, len(batches))
    with watch_gpu() as watch:
        model.fit(batches, steps_per_epoch=min(steps, WARM_UP_STEPS), verbose=0)
        watch.take()
        start = time.perf_counter()
        model.fit(batches, steps_per_epoch=steps, verbose=0)
        wait_for_devices()
        seconds = time.perf_counter() - start
        samples = watch.take()
    row = _row(hardware.describe(), steps, BATCH_SIZE, seconds)
    return {**row, **_load(samples)}


def measure_ours(data: str, steps: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Our training on the records of the same photos."""
    from alexnet.benchmarks.scripts.gpu.session import Session, watch_gpu

    session = Session(Path(data), settings)
    with watch_gpu() as watch:
        fitted = session.fit(steps, watch)
    hardware, size = session.hardware.describe(), session.train.batch_size
    row = _row(hardware, steps, size, fitted.seconds)
    row["input_wait_share"] = fitted.input_wait_share
    return {**row, **_load(fitted.samples)}


def _load(samples: Sequence[Sample]) -> dict[str, Any]:
    every = [asdict(sample) for sample in samples]
    return {**asdict(Load.of(samples)), "samples": every}


def _row(hardware: str, steps: int, size: int, seconds: float) -> dict[str, Any]:
    return {
        "hardware": hardware,
        "steps": steps,
        "batch_size": size,
        "step_milliseconds": 1e3 * seconds / steps,
        "images_per_second": steps * size / seconds,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Train all three ways and draw their load; returns the exit code."""
    parser = make_parser("article", __doc__)
    parser.add_argument("photos", type=Path, help="folder of photos")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--picture", type=Path, help="PNG of the GPU's load over time")
    add_settings(parser, names_of(NetworkConfig))
    options = parser.parse_args(arguments)
    require_article()
    if not options.photos.is_dir():
        raise DataError(
            f"no such folder: {options.photos}. Expected one of photos: the article's"
            " generator reads no archives."
        )
    network = read_settings(options.set, options.known)
    report = Report(options)
    steps = {"steps": options.steps}
    article = {"photos": str(options.photos), **steps, "network": network}
    report.add({"way": ARTICLE, **attempt(MEASURE_ARTICLE, article)})
    with TemporaryDirectory(prefix="alexnet-article-") as folder:
        build(scan(options.photos), Path(folder), BuildConfig(validation_fraction=0))
        for way, asked in ((SAME, ITS_SETTINGS), (OWN, {})):
            settings = {**asked, "mixed_precision": True, **network}
            ours = {"data": folder, **steps, "settings": settings}
            report.add({"way": way, **attempt(MEASURE_OURS, ours)})
    if options.picture:
        from alexnet.benchmarks.scripts.gpu.load_plot import draw_loads

        draw_loads(report.rows, options.picture)
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(main))
