"""Throughput against a clock that the deliveries themselves turn."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import cycle
from typing import Any

import pytest
import tensorflow as tf

from alexnet.benchmarks.measure import GROUP_RECORDS, deliver, images_in, measure


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def deliveries(
    clock: Clock, images: float, seconds_each: Sequence[float]
) -> Generator[float, None, None]:
    for seconds in cycle(seconds_each):
        clock.seconds += seconds
        yield images


@pytest.mark.parametrize("seconds_each", [0.01, 0.3, 7.0])
def test_an_even_stream_has_its_exact_rate_and_no_spread(seconds_each: float) -> None:
    """Also where a delivery takes longer than a window: nothing is off by one."""
    clock = Clock()
    measured = measure(deliveries(clock, 32, [seconds_each]), 5.0, clock=clock)
    assert measured.images_per_second == pytest.approx(32 / seconds_each)
    assert measured.spread == pytest.approx(0, abs=1e-9)


def test_the_rate_is_the_median_and_the_spread_its_range() -> None:
    """Every delivery is a window here: 2 of warm-up, then rates 1, 1/2, 1/4, 1/2, 1."""
    clock = Clock()
    seconds = [9.0, 9.0, 1.0, 2.0, 4.0, 2.0, 1.0]
    measured = measure(deliveries(clock, 1, seconds), 0.5, clock=clock)
    assert measured.images_per_second == pytest.approx(0.5)
    assert measured.spread == pytest.approx((1 - 0.25) / 0.5)


def test_what_came_before_the_first_window_is_not_counted() -> None:
    """A full buffer delivers a thousand images at once; its warm-up ends there."""
    clock = Clock()

    def buffered() -> Generator[float, None, None]:
        for _ in range(1000):
            yield 1
        yield from deliveries(clock, 1, [0.5])

    measured = measure(buffered(), 10.0, clock=clock)
    assert measured.images_per_second == pytest.approx(2)


def test_work_that_a_device_still_has_to_do_counts() -> None:
    """Deliveries that only start the work take no time; settling does all of it."""
    clock, started = Clock(), [0]

    def start_only() -> Generator[float, None, None]:
        while True:
            clock.seconds += 0.001
            started[0] += 1
            yield 1

    def settle() -> None:
        clock.seconds += started[0] * 0.009
        started[0] = 0

    measured = measure(start_only(), 1.0, settle, clock)
    assert measured.images_per_second == pytest.approx(100)


def test_the_deliveries_are_closed() -> None:
    closed = []

    def watched() -> Generator[float, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    measure(watched(), 0.01)
    assert closed


def test_a_dataset_delivers_its_rows_after_they_are_consumed() -> None:
    consumed = []
    dataset = tf.data.Dataset.range(12).map(lambda x: (x, -x))
    for rows in deliver(
        dataset.batch(4, drop_remainder=True), lambda x, y: consumed.append((x, y))
    ):
        assert rows == 4
        assert len(consumed[-1][0]) == 4
    assert [int(x[0]) for x, _ in consumed] == [0, 4, 8]
    assert [int(y[0]) for _, y in consumed] == [0, -4, -8]


@pytest.mark.parametrize(
    ("element", "images"),
    [
        (tf.TensorSpec([], tf.string), None),
        (tf.TensorSpec([], tf.int64), None),
        (tf.TensorSpec([7], tf.string), 7),
        (tf.TensorSpec([7], tf.int32), 7),
        ((tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)), None),
        # One picture with its label is no batch of its rows of pixels.
        ((tf.TensorSpec([5, 5, 3], tf.uint8), tf.TensorSpec([], tf.int64)), None),
        ((tf.TensorSpec([7, 5, 5, 3], tf.uint8), tf.TensorSpec([7], tf.int64)), 7),
        ((tf.TensorSpec([7, 6, 4], tf.uint8), tf.TensorSpec([7], tf.int64)), 7),
        ((tf.TensorSpec([1, 6, 4], tf.uint8), tf.TensorSpec([1], tf.int64)), 1),
    ],
)
def test_an_element_says_how_many_images_it_holds(
    element: Any, images: int | None
) -> None:
    assert images_in(element) == images


def test_single_records_are_counted_in_groups() -> None:
    """Every record of a group passes through, and one of it is fetched."""
    passed = [0]

    def count(number: tf.Tensor) -> tf.Tensor:
        passed[0] += 1
        return number

    dataset = tf.data.Dataset.range(3 * GROUP_RECORDS).map(
        lambda x: tf.ensure_shape(tf.py_function(count, [x], tf.int64), [])
    )
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    deliveries = deliver(dataset.with_options(options))
    for groups in (1, 2, 3):
        assert next(deliveries) == GROUP_RECORDS
        assert passed[0] == groups * GROUP_RECORDS
    assert next(deliveries, None) is None
