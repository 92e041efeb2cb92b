"""Rate and memory of a build, from a thousand files to a million.

`python -m alexnet.benchmarks.scripts.build_scaling`. The files are JPEGs of 8x8 pixels,
no two alike, so that what is measured is above all the bookkeeping that a file costs.
"""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.plan import make_plan
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.source.scan import scan

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
SIDE = 8
CLASSES = ("cat", "dog")
# A picture's number is written in squares of these greys, which JPEG keeps apart.
GREYS = (0, 85, 170, 255)
SQUARES = 4


@dataclass(frozen=True)
class FilesCost:
    """Time and memory of a build; the peaks are of resident memory."""

    num_files: int
    scan_seconds: float
    plan_seconds: float
    build_seconds: float
    peak_bytes: int
    worker_peak_bytes: int

    @property
    def images_per_second(self) -> float:
        """Files a second from the scan to the manifest."""
        return self.num_files / (self.scan_seconds + self.build_seconds)


def make_files(folder: Path, count: int) -> None:
    """Write `count` different JPEGs into class folders."""
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        path = folder / CLASSES[number % len(CLASSES)] / f"{number:07d}.jpg"
        tiny_picture(number).save(path, "JPEG")


def tiny_picture(number: int) -> Image.Image:
    """A grey picture of a side of `SIDE`, another one for every number."""
    digits = (number // len(GREYS) ** place for place in range(SQUARES**2))
    greys = bytes(GREYS[digit % len(GREYS)] for digit in digits)
    squares = Image.frombytes("L", (SQUARES, SQUARES), greys)
    return squares.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def measure_files(source: Path, out: Path) -> FilesCost:
    """Time and memory of a build, in a process that did nothing else before."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure_here, source, out).result()


def _measure_here(source: Path, out: Path) -> FilesCost:
    start = time.perf_counter()
    found, config = scan(source), BuildConfig(side=SIDE)
    scanned = time.perf_counter()
    make_plan(found.files, found.class_names, config)
    planned = time.perf_counter()
    worker_peaks = [0]

    def look_at_workers(done: int, total: int) -> None:
        if done == total:
            worker_peaks.extend(peak_bytes(worker.pid) for worker in active_children())

    report = build(found, out, config, progress=look_at_workers)
    return FilesCost(
        len(found.files),
        scanned - start,
        planned - scanned,
        report.seconds,
        peak_bytes(os.getpid()),
        max(worker_peaks),
    )


def peak_bytes(process: int | None) -> int:
    """The most memory that a running process has held; proc(5), status: VmHWM."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{process}/status has no VmHWM")


def measure_count(count: int) -> FilesCost:
    """Time and memory of a build of `count` files, which are gone afterwards."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "photos"
        make_files(source, count)
        return measure_files(source, Path(folder) / "records")


def describe(cost: FilesCost) -> str:
    """A line for people."""
    return (
        f"{cost.num_files:9,}  {cost.scan_seconds:7.2f}  {cost.plan_seconds:7.2f}"
        f"  {cost.build_seconds:8.2f}  {cost.images_per_second:8,.0f}"
        f"  {cost.peak_bytes / 2**20:8.1f}  {cost.worker_peak_bytes / 2**20:8.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what the files cost, a line for each number of them."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.build_scaling", description=__doc__
    )
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args(arguments)
    if not options.json:
        print("    files   scan s   plan s   build s  images/s  peak MiB  a worker")
    for count in options.counts:
        cost = measure_count(count)
        fields = {**asdict(cost), "images_per_second": cost.images_per_second}
        print(json.dumps(fields) if options.json else describe(cost), flush=True)


if __name__ == "__main__":
    main()
