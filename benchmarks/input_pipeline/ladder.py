"""The ladder: a rung is the throughput of the pipeline up to and including a stage.

The rungs are prefixes of the very list of stages that training composes. What a rung
adds to the time of an image is what its stage costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from alexnet.benchmarks.measure import Deliveries, Timing, deliver
from alexnet.pipeline.read.stage import Stage, compose

DEVICE_STAGES = ("to device", "augment", "train step")


@dataclass(frozen=True)
class Rung:
    """Throughput up to and including a stage; `spread` is a share of it."""

    stage: str
    images_per_second: float
    spread: float


def split_rungs(rungs: Sequence[Rung]) -> tuple[list[Rung], list[Rung]]:
    """The host's rungs and the device's."""
    host = [rung for rung in rungs if rung.stage not in DEVICE_STAGES]
    return host, [rung for rung in rungs if rung.stage in DEVICE_STAGES]


def added_microseconds(rungs: Sequence[Rung]) -> list[float]:
    """What each rung adds to the time of an image; the sum is the last rung's time.

    No part can take longer than what it is part of: where a later rung is faster, by
    overlapping work or by chance, the time above it is not counted.
    """
    times = [1e6 / rung.images_per_second for rung in rungs]
    whole = list(accumulate(reversed(times), min))[::-1]
    return [
        time - before for time, before in zip(whole, [0.0, *whole[:-1]], strict=True)
    ]


def climb(stages: Sequence[Stage]) -> list[Timing]:
    """How to time every prefix of `stages`."""
    return [
        Timing(stage.name, partial(_deliver_prefix, stages, count))
        for count, stage in enumerate(stages, 1)
    ]


def _deliver_prefix(stages: Sequence[Stage], count: int) -> Deliveries:
    return deliver(compose(stages[:count]))
