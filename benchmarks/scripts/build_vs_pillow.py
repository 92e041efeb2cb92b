"""`records build` beside its decoder, resampler and encoder alone, on the same photos.

`python -m alexnet.benchmarks.scripts.build_vs_pillow SOURCE`. The limit is the photos'
bytes in memory, decoded, resized and encoded by as many processes as a build has,
results thrown away. Both take turns. The time that every build takes, however short, is
given apart.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import get_args

from PIL import Image

from alexnet.benchmarks.rounds import ROUNDS, Ratio, Round, medians, ratios
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.encode_job import keep_freed_memory
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.image import yuv420_planes
from alexnet.pipeline.records.resample import resample
from alexnet.pipeline.source.scan import Source, scan

STEADY, WHOLE, LIMIT = "steady", "whole", "limit"


@dataclass(frozen=True)
class BuildSpeed:
    """Medians of the rounds; the steady rate leaves `fixed_seconds` out.

    Those are a build of a photo a worker: processes started, shards and cards written.
    """

    storage: StorageName
    num_images: int
    workers: int
    steady_images_per_second: float
    whole_images_per_second: float
    limit_images_per_second: float
    fixed_seconds: float
    of_limit: Ratio


def pick(source: Source, count: int) -> Source:
    """The source with `count` of its photos, taken evenly; all when it has no more."""
    total = len(source.files)
    places = [number * total // count for number in range(count)]
    if count >= total:
        return source
    return replace(source, files=tuple(source.files[place] for place in places))


def bare_pillow(data: bytes, config: BuildConfig) -> bytes:
    """A photo as a storage keeps it, in as few calls as can be."""
    image = Image.open(io.BytesIO(data))
    if config.storage == "original":
        image.load()
        return data
    side, encoded = config.side, io.BytesIO()
    image.draft(None, (2 * side, 2 * side))
    shorter = min(image.size)
    left, top = ((length - shorter) / 2 for length in image.size)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    square = resample(rgb, side, (left, top, shorter, shorter))
    if config.storage == "raw":
        return square.tobytes()
    if config.storage == "yuv420":
        return yuv420_planes(square)
    square.save(encoded, "JPEG", quality=config.quality)
    return encoded.getvalue()


def limit_rate(photos: Sequence[bytes], config: BuildConfig, workers: int) -> float:
    """Images a second of `workers` processes, from the first start to the last end."""
    context = get_context("spawn")
    shares = [photos[number::workers] for number in range(workers)]
    with context.Manager() as manager, ProcessPoolExecutor(workers, context) as pool:
        barrier = manager.Barrier(workers)
        times = [pool.submit(_work, share, config, barrier) for share in shares]
        starts, ends = zip(*(time.result() for time in times), strict=True)
    return len(photos) / float(max(ends) - min(starts))


def _work(
    photos: Sequence[bytes], config: BuildConfig, barrier: Barrier
) -> tuple[float, float]:
    """Encode photos; return when this process began and ended, by a shared clock."""
    keep_freed_memory()
    for data in photos[:4]:
        bare_pillow(data, config)
    barrier.wait()
    start = time.perf_counter()
    for data in photos:
        bare_pillow(data, config)
    return start, time.perf_counter()


def build_seconds(source: Source, config: BuildConfig, workers: int) -> float:
    """The seconds of a build into a folder of its own."""
    with TemporaryDirectory() as folder:
        return build(source, Path(folder) / "records", config, workers=workers).seconds


def measure_build(source: Source, config: BuildConfig, rounds: int) -> BuildSpeed:
    """The build of `source` against its limit, in turn, with a process a CPU.

    Raises:
        DataError: there are too few photos to tell, or some cannot be used.
    """
    workers, count = num_cpus(), len(source.files)
    photos = [source.store.read(file.key) for file in source.files]
    few, turns, fixed = pick(source, workers), [], []
    for _ in range(rounds):
        limit = limit_rate(photos, config, workers)
        fixed.append(build_seconds(few, config, workers))
        whole = build_seconds(source, config, workers)
        turns.append(as_round(count, workers, whole, fixed[-1], limit))
    rates = medians(turns)
    return BuildSpeed(
        config.storage,
        count,
        workers,
        rates[STEADY],
        rates[WHOLE],
        rates[LIMIT],
        statistics.median(fixed),
        ratios(turns, STEADY)[LIMIT],
    )


def as_round(
    images: int, few: int, seconds: float, few_seconds: float, limit: float
) -> Round:
    """The limit and a build's rates, over all and beyond a build of a `few` images.

    Raises:
        DataError: the build took no longer than that of a few.
    """
    if images <= few or seconds <= few_seconds:
        raise DataError(
            f"{images} photos are too few: building them takes {seconds:.2f} s, and"
            f" {few} of them {few_seconds:.2f} s. Give more --photos."
        )
    steady = (images - few) / (seconds - few_seconds)
    return {STEADY: steady, WHOLE: images / seconds, LIMIT: limit}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates of one storage."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.build_vs_pillow", description=__doc__
    )
    parser.add_argument("source", type=Path, help="folder, CSV, zip or tar of photos")
    parser.add_argument("--storage", choices=get_args(StorageName), default="jpeg")
    parser.add_argument("--photos", type=int, default=1000, help="how many to take")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    source = pick(scan(options.source), options.photos)
    speed = measure_build(source, BuildConfig(storage=options.storage), options.rounds)
    print(json.dumps(asdict(speed), indent=2) if options.json else describe(speed))


def describe(speed: BuildSpeed) -> str:
    """The figures for people."""
    return "\n".join(
        (
            f"{count(speed.num_images, 'photo')} as {speed.storage},"
            f" {count(speed.workers, 'worker')}",
            f"limit   {speed.limit_images_per_second:8,.0f} images/s",
            f"steady  {speed.steady_images_per_second:8,.0f} images/s,"
            f" {speed.of_limit.ratio:.2f} of the limit"
            f" (spread {speed.of_limit.spread:.0%})",
            f"whole   {speed.whole_images_per_second:8,.0f} images/s,"
            f" {speed.fixed_seconds:.2f} s of it fixed",
        )
    )


if __name__ == "__main__":
    main()
