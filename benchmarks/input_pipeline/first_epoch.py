"""The first epoch of a fresh dataset: seconds to its first batch, and its throughput.

Timed from a cold page cache and again from a warm one, over the same images; shuffle
buffers that fill and AUTOTUNE that settles are part of it, other than on the ladder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from alexnet.benchmarks.measure import Deliveries
from alexnet.benchmarks.memory import evict

# Of what was to leave the page cache; with more of it the epoch was not cold.
MAX_LEFT = 0.05


@dataclass(frozen=True)
class FirstEpoch:
    """The time that the first images of a fresh dataset took."""

    num_images: float
    first_batch_seconds: float
    images_per_second: float


@dataclass(frozen=True)
class FirstEpochs:
    """The same epoch twice; `cold` is None where the page cache kept the shards.

    `left` is the share of them that it kept.
    """

    cold: FirstEpoch | None
    warm: FirstEpoch
    left: float


def time_first_epochs(
    start: Callable[[], Deliveries],
    paths: Sequence[str],
    num_images: int,
    seconds: float,
) -> FirstEpochs:
    """Time the dataset that `start` makes on shards that are cold, then on warm ones.

    Each ends with the epoch's `num_images`, or at the first batch after `seconds`.
    """
    # What TensorFlow does once in a process is not the disk's.
    with closing(start()) as deliveries:
        next(deliveries)
    left = evict(paths)
    first = time_first_epoch(start(), num_images, seconds)
    warm = time_first_epoch(start(), first.num_images)
    return FirstEpochs(first if left <= MAX_LEFT else None, warm, left)


def time_first_epoch(
    deliveries: Deliveries,
    num_images: float,
    seconds: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> FirstEpoch:
    """Time deliveries from their very start; closes them."""
    with closing(deliveries):
        start = clock()
        images = next(deliveries)
        first_batch_seconds = elapsed = clock() - start
        while images < num_images and elapsed < seconds:
            images += next(deliveries)
            elapsed = clock() - start
    return FirstEpoch(images, first_batch_seconds, images / elapsed)
