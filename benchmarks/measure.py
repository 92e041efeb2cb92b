"""Throughput: images delivered in a window of time, by one clock for everything.

Rungs, limits and other loaders are all given as deliveries, a generator that yields how
many images its last step delivered, so that their numbers can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from alexnet.benchmarks.rounds import median_and_spread

Deliveries = Generator[float, None, None]
# Called with what is timed next, how many timings are done, and how many there are.
Progress = Callable[[str, int, int], None]

WINDOWS = 5
# Python takes about as long to fetch an element as TensorFlow takes to read a record,
# so records are counted in groups: the last of each is fetched, the rest stay inside.
GROUP_RECORDS = 128
# AUTOTUNE needs a while to settle; buffers filled before the first window must drain.
WARM_UP_SHARE = 0.5


class Timing(NamedTuple):
    """A name, and what starts the deliveries to time."""

    name: str
    start: Callable[[], Deliveries]


@dataclass(frozen=True)
class Measurement:
    """The median of the windows, and the range they lie in as a share of it."""

    images_per_second: float
    spread: float


def measure(
    deliveries: Deliveries,
    seconds: float,
    settle: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Measurement:
    """Measure the throughput over `seconds` after a warm-up; closes the deliveries.

    A window starts and ends at a delivery, so it counts exactly what came in its time.

    Args:
        settle: waits for what was started on a device.
    """
    with closing(deliveries):
        next(deliveries)
        _window(deliveries, WARM_UP_SHARE * seconds, settle, clock)
        rates = [
            _window(deliveries, seconds / WINDOWS, settle, clock)
            for _ in range(WINDOWS)
        ]
    return Measurement(*median_and_spread(rates))


def _window(
    deliveries: Deliveries,
    seconds: float,
    settle: Callable[[], None],
    clock: Callable[[], float],
) -> float:
    """Images per second from now to the first delivery after `seconds`."""
    start, images = clock(), 0.0
    while clock() - start < seconds:
        images += next(deliveries)
    settle()
    return images / (clock() - start)


def deliver(
    dataset: tf.data.Dataset, consume: Callable[..., Any] | None = None
) -> Deliveries:
    """The dataset's elements as deliveries, after `consume` took their components.

    Args:
        consume: is given batches; without it an element may also be a single record.
    """
    images_each = images_in(dataset.element_spec)
    if images_each is None:
        images_each = GROUP_RECORDS
        dataset = dataset.shard(GROUP_RECORDS, GROUP_RECORDS - 1)
    for element in dataset:
        if consume:
            consume(*element)
        yield images_each


def images_in(element_spec: Any) -> int | None:
    """The number of images in an element; None if it is a single record.

    The last component has it: the labels, where there are any, or rows or records.
    """
    shape = tf.nest.flatten(element_spec)[-1].shape
    return shape[0] if shape.rank else None


def wait_for_devices() -> None:
    """Return when everything started on the devices is done."""
    tf.test.experimental.sync_devices()


class Stopwatch:
    """The clock of one run of a bench: a timing after the other, as long for each."""

    def __init__(self, seconds: float, total: int, progress: Progress) -> None:
        self.seconds, self._total, self._progress = seconds, total, progress
        self._done = 0

    def announce(self, name: str) -> None:
        """Report what is timed next."""
        self._progress(name, self._done, self._total)
        self._done += 1

    def time(
        self, timing: Timing, look: Callable[[], None] = lambda: None
    ) -> Measurement:
        """Measure the throughput; `look` is called at the end of each window."""

        def settle() -> None:
            wait_for_devices()
            look()

        self.announce(timing.name)
        return measure(timing.start(), self.seconds, settle)


def describe_rate(images_per_second: float) -> str:
    """A throughput for people, in three digits."""
    return f"{float(f'{images_per_second:.3g}'):,.0f} images/s"
