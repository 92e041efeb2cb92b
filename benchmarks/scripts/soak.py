"""A long training of a small net: does anything grow, does anything slow down?

    python -m alexnet.benchmarks.scripts.soak --epochs 300

Draws a set of shapes, trains on it in this process, and looks after every epoch at the
memory, the threads and the open files. Exits with 1 where one of them has grown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.benchmarks.memory import anonymous_bytes
from alexnet.benchmarks.synthetic import write_shapes
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.plan import plan_training
from alexnet.model.training.progress import Progress
from alexnet.model.training.run import RunFolder
from alexnet.model.training.training import train
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.source.scan import scan

IMAGES, SIDE, IMAGE_SIZE = 512, 72, 67
# Before this share of the run is over, pools and allocators are still filling.
SETTLING = 0.25
GROWTH_BYTES = 16 * 2**20
# TensorFlow itself keeps about 50 kB an epoch, however many steps that has: 48 bytes of
# each operation that runs eagerly, hundreds of which save a state and validate (2.15.1:
# 281 to 323 MiB in 780 epochs of 12 steps; 41 kB each with 3 steps, 14 kB without
# saving). A batch here is ten times that.
KEPT_BYTES_AN_EPOCH = 2**16
SLOWDOWN = 0.05


@dataclass(frozen=True)
class Sample:
    """Resources of a process after an epoch."""

    resident_bytes: int
    threads: int
    files: int
    images_per_second: float


def check_growth(samples: Sequence[Sample]) -> list[str]:
    """Name what has grown or slowed down since the run settled."""
    settled = samples[int(SETTLING * len(samples)) :]
    third = max(1, len(settled) // 3)
    first, last = settled[:third], settled[-third:]
    problems = []
    grown = _median(last, "resident_bytes") - _median(first, "resident_bytes")
    epochs_between = len(settled) - third
    if grown > GROWTH_BYTES + KEPT_BYTES_AN_EPOCH * epochs_between:
        problems.append(f"memory grew by {grown / 2**20:.0f} MiB")
    for name in ("threads", "files"):
        more = _median(last, name) - _median(first, name)
        if more > 0:
            problems.append(f"{more:.0f} more {name}")
    speeds = [_median(part, "images_per_second") for part in (first, last)]
    if speeds[1] < (1 - SLOWDOWN) * speeds[0]:
        problems.append(f"{speeds[0]:,.0f} images/s became {speeds[1]:,.0f}")
    return problems


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(statistics.median(getattr(sample, name) for sample in samples))


class Watch(Progress):
    """Takes a sample after every epoch of a training."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def start(self, first_step: int, total_steps: int) -> None:
        """The run begins."""

    def step(self, step: int, metrics: Metrics) -> None:
        """A step has ended."""

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """An epoch has ended."""
        sample = Sample(
            anonymous_bytes(),
            len(list(Path("/proc/self/task").iterdir())),
            len(list(Path("/proc/self/fd").iterdir())),
            record.images_per_second,
        )
        self.samples.append(sample)
        print(
            f"epoch {record.epoch}/{total_epochs}: {sample.resident_bytes / 2**20:.0f}"
            f" MiB, {sample.threads} threads ({threading.active_count()} of Python),"
            f" {sample.files} files, {sample.images_per_second:,.0f} images/s",
            flush=True,
        )


def soak(folder: Path, epochs: int, reader: str) -> list[Sample]:
    """Train in `folder` and return a sample an epoch."""
    write_shapes(folder / "train", IMAGES, SIDE)
    config = BuildConfig(side=SIDE, shards=2)
    build(scan(folder / "train"), folder / "records", config, workers=1)
    settings = {"epochs": epochs, "batch_size": 32, "width": 0.05, "reader": reader}
    plan = plan_training(
        folder / "records",
        RunFolder(folder / "run"),
        {**settings, "image_size": IMAGE_SIZE, "learning_rate": 0.001},
    )
    watch = Watch()
    train(plan, set_up_hardware(plan.config.train), watch)
    return watch.samples


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print what was found, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--reader", choices=("mmap", "stream"), default="mmap")
    asked = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="alexnet-soak-") as folder:
        problems = check_growth(soak(Path(folder), asked.epochs, asked.reader))
    print("; ".join(problems) or "nothing grew, nothing slowed down")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
