"""How near each rung comes to what the machine could do with the same bytes.

A share travels between machines better than a rate: both of its parts are measured in
the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alexnet.benchmarks.input_pipeline.ladder import Rung, split_rungs
from alexnet.pipeline.records.storage import Storage

if TYPE_CHECKING:
    import tensorflow as tf

RECORDS_LIMIT = "disk read"


@dataclass(frozen=True)
class Share:
    """A rung's throughput as a share of its limit's."""

    limit: str
    share: float


def limit_of(element_spec: Any, storage: Storage) -> str | None:
    """The name of the limit on elements of this kind; None for rows, which are free.

    Records are string, images uint8, and rows of a mapped shard int64.
    """
    import tensorflow as tf

    first: tf.TensorSpec = tf.nest.flatten(element_spec)[0]
    limits = {tf.string: RECORDS_LIMIT, tf.uint8: storage.limit}
    return limits.get(first.dtype)


def alone(stage: str) -> str:
    """The name of a device stage's own limit: the same batch again and again."""
    return f"{stage} alone"


def shares(
    rungs: Sequence[Rung],
    limit_names: Mapping[str, str | None],
    limits: Mapping[str, float],
) -> dict[str, Share]:
    """The share of every rung whose limit was measured."""
    host, device = split_rungs(rungs)
    names = {rung.stage: limit_names.get(rung.stage) for rung in host}
    names |= {rung.stage: alone(rung.stage) for rung in device}
    return {
        rung.stage: Share(name, rung.images_per_second / limits[name])
        for rung in rungs
        if (name := names[rung.stage]) is not None and name in limits
    }
