"""The ceiling of `jpeg` records on many cores: Python's part of an image, under a lock.

`python -m alexnet.benchmarks.scripts.jpeg_ceiling`. JPEGs are decoded outside Python's
lock, but each is found, checked and handed over inside it, one after the other however
many cores there are. Tiny JPEGs of several sizes are read on one CPU and on all; as
pixels go to zero, what is left of an image's time is what does not depend on them, and
of that the part that more CPUs do not shorten is the lock's (Amdahl).
"""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from alexnet.benchmarks.scripts.build_scaling import make_files
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.source.scan import scan

SIDES = (8, 16, 32, 64)
NUM_IMAGES = 4096


@dataclass(frozen=True)
class Ceiling:
    """Microseconds of an image without pixels, and the rate that follows from them."""

    cpus: int
    microseconds_one_cpu: float
    microseconds_all_cpus: float
    microseconds_under_lock: float
    images_per_second: float


def build_sets(folder: Path, num_images: int) -> list[Path]:
    """Build `jpeg` records of the same pictures at every side."""
    make_files(folder / "photos", num_images)
    source = scan(folder / "photos")
    for side in SIDES:
        config = BuildConfig(side=side, validation_fraction=0)
        build(source, folder / f"records-{side}", config)
    return [folder / f"records-{side}" for side in SIDES]


def microseconds_an_image(sets: Sequence[Path], cpus: int, seconds: float) -> float:
    """The time of an image without pixels, in a process that may use so many CPUs."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        times = pool.submit(_read_sets, sets, cpus, seconds).result()
    return intercept([side**2 for side in SIDES], times)


def _read_sets(sets: Sequence[Path], cpus: int, seconds: float) -> list[float]:
    """Microseconds an image of each set, read as training reads it."""
    # TensorFlow and the decoder count the CPUs when they start.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    from alexnet.benchmarks.measure import deliver, measure
    from alexnet.pipeline.read.dataset import train_dataset
    from alexnet.pipeline.read.opened_records import open_records

    config = ReadConfig(reader="mmap")
    datasets = (train_dataset(open_records(path), config) for path in sets)
    rates = [
        measure(deliver(dataset), seconds).images_per_second for dataset in datasets
    ]
    return [1e6 / rate for rate in rates]


def intercept(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The value at 0 of the straight line that comes nearest to the points."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    pairs = list(zip(xs, ys, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    slope /= sum((x - mean_x) ** 2 for x in xs)
    return mean_y - slope * mean_x


def find_ceiling(one_cpu: float, all_cpus: float, cpus: int) -> Ceiling:
    """The ceiling, from the microseconds of an image on one CPU and on all.

    They are lock + rest, and lock + rest / cpus.
    """
    lock = (cpus * all_cpus - one_cpu) / (cpus - 1)
    lock = min(max(lock, 0.0), all_cpus)
    rate = 1e6 / lock if lock else float("inf")
    return Ceiling(cpus, one_cpu, all_cpus, lock, rate)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ceiling as JSON."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.jpeg_ceiling", description=__doc__
    )
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each set")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    cpus = num_cpus()
    if cpus < 2:
        raise ConfigError("one CPU tells nothing of many; two or more are needed")
    with TemporaryDirectory(prefix="alexnet-ceiling-") as folder:
        sets = build_sets(Path(folder), options.images)
        # In turn: what drifts on a machine hits both.
        rounds = [
            [microseconds_an_image(sets, n, options.seconds) for n in (1, cpus)]
            for _ in range(options.rounds)
        ]
    one_cpu, all_cpus = (median(times) for times in zip(*rounds, strict=True))
    print(json.dumps(asdict(find_ceiling(one_cpu, all_cpus, cpus)), indent=2))


if __name__ == "__main__":
    main()
