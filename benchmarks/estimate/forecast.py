"""What a record set would be, from a trial on a few of its photos, and which to build.

Pure functions of what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from alexnet.benchmarks.input_pipeline.diagnosis import rate
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.files import format_bytes

# What a pipeline must deliver for each image that the train step takes: 20 % to spare.
ENOUGH = 1.2


class Size(NamedTuple):
    """Bytes of a whole record set, and their standard error."""

    num_bytes: float
    error_bytes: float


class Pace(NamedTuple):
    """How a build goes: what it does first, and then so many images a second."""

    start_seconds: float
    images_per_second: float

    def seconds(self, num_images: int) -> float:
        """The duration of a build of so many images."""
        return self.start_seconds + num_images / self.images_per_second


@dataclass(frozen=True)
class Forecast:
    """What a whole record set of one storage is predicted to be.

    `bytes_error` is a standard error, 0 where the size is exact; `spread` is that of
    the windows in which reading was measured, as a share. `fed` is whether the train
    step has ENOUGH, None where it is not known how much it takes.
    """

    bytes: int
    bytes_error: int
    bytes_per_image: float
    images_per_second: float
    spread: float
    build_seconds: float
    # Or it is read from the disk in every epoch.
    in_memory: bool
    fits_disk: bool
    fed: bool | None


def extrapolate(
    known: Sequence[int], found: Sequence[int], known_of_all: int, num_images: int
) -> Size:
    """The size of `num_images` records, of which some were built and `found`.

    What is `known` of a record unbuilt, such as the size of the file that it holds, is
    counted exactly; the mean of the rest stands for that of all.
    """
    rest = [record - part for record, part in zip(found, known, strict=True)]
    error = 0.0
    if len(rest) > 1:
        # The closer the sample comes to all there is, the less is left to chance.
        unseen = 1 - len(rest) / num_images
        error = stdev(rest) * math.sqrt(unseen / len(rest))
    return Size(known_of_all + num_images * fmean(rest), num_images * error)


def pace(times: Sequence[float], skip: int, speed_up: float) -> Pace:
    """The pace of a build that began at 0 and had `i` images done at `times[i]`.

    Args:
        skip: images before the workers were all at work.
        speed_up: how many times as many workers a whole build has.
    """
    each = (times[-1] - times[skip]) / (len(times) - 1 - skip)
    return Pace(max(0.0, times[skip] - skip * each), speed_up / each)


def feeds(images_per_second: float, demand: float | None) -> bool | None:
    """Whether so many are enough; None where nobody said for what."""
    return None if demand is None else images_per_second >= ENOUGH * demand


def choose(forecasts: Mapping[StorageName, Forecast]) -> StorageName | None:
    """The smallest storage that feeds the step, or else the fastest; None fits none."""
    fitting = {name: one for name, one in forecasts.items() if one.fits_disk}
    feeding = [name for name, one in fitting.items() if one.fed]
    if feeding:
        return min(feeding, key=lambda name: fitting[name].bytes)
    return max(fitting, key=lambda name: fitting[name].images_per_second, default=None)


def advise(
    forecasts: Mapping[StorageName, Forecast], demand: float | None, free_bytes: int
) -> str:
    """What to build, and why, in a sentence or two."""
    storage = choose(forecasts)
    if storage is None:
        least = min(forecasts, key=lambda name: forecasts[name].bytes)
        return (
            f"None fits: even `{least}` takes {format_bytes(forecasts[least].bytes)},"
            f" and {format_bytes(free_bytes)} are free. Free some, or"
            " build on another disk or smaller (`records build --out`, `--side`)."
        )
    chosen = forecasts[storage]
    told = [_which(storage, chosen, demand)]
    if not chosen.in_memory:
        told.append(
            "It is larger than the free memory: that is the disk's speed, with `alexnet"
            " fit --reader stream`."
        )
    if demand is None:
        told.append(
            "Give `records estimate --train-images-per-second` what `alexnet bench"
            " train-step` measures, and it is the smallest that is enough."
        )
    elif not chosen.fed:
        told.append("A smaller `records build --side` is less to read.")
    return " ".join(told)


def _which(storage: StorageName, chosen: Forecast, demand: float | None) -> str:
    what = f"{rate(chosen.images_per_second)} from {format_bytes(chosen.bytes)}"
    if demand is None:
        return f"`records build --storage {storage}` is the fastest that fits: {what}."
    if chosen.fed:
        return (
            f"`records build --storage {storage}` is the smallest that feeds the train"
            f" step ({rate(demand)}) with {ENOUGH - 1:.0%} to spare: {what}."
        )
    return (
        f"No storage that fits feeds the train step ({rate(demand)}) with"
        f" {ENOUGH - 1:.0%} to spare; `records build --storage {storage}` is the"
        f" fastest: {what}."
    )
