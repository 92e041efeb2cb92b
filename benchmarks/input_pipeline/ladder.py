"""The ladder: a rung is the throughput of the pipeline up to and including a stage.

The rungs are prefixes of the very list of stages that training composes. What a rung
adds to the time of an image is what its stage costs; its share is how near it comes to
what the machine could do with the same bytes, measured in the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from alexnet.benchmarks.measure import Deliveries, Timing, deliver
from alexnet.pipeline.read.stage import Stage, compose
from alexnet.pipeline.records.storage import Storage

DEVICE_STAGES = ("to device", "augment", "train step")
RECORDS_LIMIT = "disk read"


@dataclass(frozen=True)
class Rung:
    """Throughput up to and including a stage; `spread` is a share of it."""

    stage: str
    images_per_second: float
    spread: float


@dataclass(frozen=True)
class Share:
    """A rung's throughput as a share of its limit's."""

    limit: str
    share: float


def split_rungs(rungs: Sequence[Rung]) -> tuple[list[Rung], list[Rung]]:
    """The host's rungs and the device's."""
    host = [rung for rung in rungs if rung.stage not in DEVICE_STAGES]
    return host, [rung for rung in rungs if rung.stage in DEVICE_STAGES]


def delivered(rungs: Sequence[Rung]) -> float:
    """Images per second that the host delivers, at the last rung before the device."""
    return split_rungs(rungs)[0][-1].images_per_second


def added_microseconds(rungs: Sequence[Rung]) -> list[float]:
    """The time that each rung adds to an image's; their sum is the last rung's time.

    No part can take longer than what it is part of: where a later rung is faster, by
    overlapping work or by chance, the time above it is not counted.
    """
    times = [1e6 / rung.images_per_second for rung in rungs]
    whole = list(accumulate(reversed(times), min))[::-1]
    return [
        time - before for time, before in zip(whole, [0.0, *whole[:-1]], strict=True)
    ]


def plan_rungs(stages: Sequence[Stage]) -> list[Timing]:
    """A timing for every prefix of `stages`."""
    return [
        Timing(stage.name, partial(_deliver_prefix, stages, count))
        for count, stage in enumerate(stages, 1)
    ]


def _deliver_prefix(stages: Sequence[Stage], count: int) -> Deliveries:
    return deliver(compose(stages[:count]))


def limit_names(stages: Sequence[Stage], storage: Storage) -> dict[str, str]:
    """The limit of every stage that has one, by what its elements are.

    Records are string, images uint8; rows of a mapped shard are int64, and free.
    """
    import tensorflow as tf

    limits = {tf.string: RECORDS_LIMIT, tf.uint8: storage.limit}
    names = {}
    for count, stage in enumerate(stages, 1):
        element = tf.nest.flatten(compose(stages[:count]).element_spec)
        if element[0].dtype in limits:
            names[stage.name] = limits[element[0].dtype]
    return names


def alone(stage: str) -> str:
    """The name of a device stage's own limit: the same batch again and again."""
    return f"{stage} alone"


def shares(
    rungs: Sequence[Rung], names: Mapping[str, str], limits: Mapping[str, float]
) -> dict[str, Share]:
    """The share of every rung whose limit was measured.

    Args:
        names: the limits of the host's stages.
    """
    limit_of = {**names, **{stage: alone(stage) for stage in DEVICE_STAGES}}
    return {
        rung.stage: Share(limit, rung.images_per_second / limits[limit])
        for rung in rungs
        if (limit := limit_of.get(rung.stage, "")) in limits
    }
