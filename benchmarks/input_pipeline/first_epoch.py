"""The first epoch of a fresh dataset: how long until its first batch, and how fast.

Timed from a cold page cache and again from a warm one, over the same images; shuffle
buffers that fill and AUTOTUNE that settles are part of it, other than on the ladder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from alexnet.benchmarks.input_pipeline.page_cache import evict
from alexnet.benchmarks.measure import Deliveries

# Of what was to leave the page cache; more of it and the pass was not cold.
MAX_LEFT = 0.05


@dataclass(frozen=True)
class FirstPass:
    """What the first images of a fresh dataset took."""

    num_images: float
    first_batch_seconds: float
    images_per_second: float


@dataclass(frozen=True)
class FirstPasses:
    """The same pass twice; `cold` is None where the page cache kept the shards.

    `left` is the share of them that it kept.
    """

    cold: FirstPass | None
    warm: FirstPass
    left: float


def first_passes(
    start: Callable[[], Deliveries],
    paths: Sequence[str],
    num_images: int,
    seconds: float,
) -> FirstPasses:
    """Time the dataset that `start` makes on shards that are cold, then on warm ones.

    A pass ends with the epoch's `num_images`, or at the first batch after `seconds`.
    """
    # What TensorFlow does once in a process is not the disk's.
    with closing(start()) as deliveries:
        next(deliveries)
    left = evict(paths)
    first = first_pass(start(), num_images, seconds)
    warm = first_pass(start(), first.num_images)
    return FirstPasses(first if left <= MAX_LEFT else None, warm, left)


def first_pass(
    deliveries: Deliveries,
    num_images: float,
    seconds: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> FirstPass:
    """Time deliveries from their very start; closes them."""
    with closing(deliveries):
        start = clock()
        images = next(deliveries)
        first_batch_seconds = elapsed = clock() - start
        while images < num_images and elapsed < seconds:
            images += next(deliveries)
            elapsed = clock() - start
    return FirstPass(images, first_batch_seconds, images / elapsed)
