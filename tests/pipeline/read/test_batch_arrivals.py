"""Batches that arrive in any order are given out in theirs; lost ones are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from queue import Queue
from threading import Event

import pytest

from alexnet.pipeline.errors import ReadError
from alexnet.pipeline.read import batch_arrivals
from alexnet.pipeline.read.batch_arrivals import READY, Arrival, BatchArrivals, JobLost

MOST = 10


def sent(
    *numbers: int, then: Event | None = None
) -> Callable[[int], Iterator[Arrival]]:
    """Batches that are their own numbers; behind the last one, silence until `then`."""

    def send(first: int) -> Iterator[Arrival]:
        for number in numbers:
            yield number, f"batch {number}"
        if then:
            then.wait()

    return send


def taken(found: BatchArrivals, numbers: range) -> list[str | None]:
    try:
        return [found.take(number) for number in numbers]
    finally:
        found.close()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_any_order_comes_out_as_one(order: tuple[int, ...]) -> None:
    found = BatchArrivals(sent(*order), 0, 4, MOST, "it")
    assert taken(found, range(4)) == [f"batch {number}" for number in range(4)]


def test_one_that_many_have_overtaken_is_lost_and_late_ones_are_dropped() -> None:
    later = (*range(1, MOST + 1), 0, *range(MOST + 1, 20))
    found = BatchArrivals(sent(*later), 0, 20, MOST, "it")
    assert taken(found, range(20)) == [None, *(f"batch {n}" for n in range(1, 20))]


def test_the_last_ones_are_lost_where_the_sender_ends_without_them() -> None:
    found = BatchArrivals(sent(0, 2), 0, 4, MOST, "it")
    assert taken(found, range(4)) == ["batch 0", None, "batch 2", None]


@pytest.mark.parametrize(("numbers", "end"), [((0, 2), 9), ((0,), 2)])
def test_one_that_is_overtaken_or_the_last_is_lost_after_a_while(
    numbers: tuple[int, ...], end: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_arrivals, "LATE_SECONDS", 0.05)
    then = Event()
    found = BatchArrivals(sent(*numbers, then=then), 0, end, MOST, "it")
    assert [found.take(0), found.take(1)] == ["batch 0", None]
    then.set()
    found.close()


def test_a_sender_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_arrivals, "LATE_SECONDS", 0.01)
    monkeypatch.setattr(batch_arrivals, "SILENT_SECONDS", 0.05)
    then = Event()
    found = BatchArrivals(sent(0, then=then), 0, 9, MOST, "the data service at here:1")
    assert found.take(0) == "batch 0"
    with pytest.raises(ReadError, match=r"the data service at here:1 has sent nothing"):
        found.take(1)
    then.set()
    found.close()


def test_an_error_of_the_sender_is_the_taker_s() -> None:
    def broken(first: int) -> Iterator[Arrival]:
        yield 0, "batch 0"
        raise RuntimeError("cut")

    found = BatchArrivals(broken, 0, 9, MOST, "it")
    assert found.take(0) == "batch 0"
    with pytest.raises(RuntimeError, match="cut"):
        found.take(1)
    found.close()


def test_a_sender_that_lost_its_job_is_asked_for_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batch 2 was taken already when it comes again, and batch 3 is there."""
    monkeypatch.setattr(batch_arrivals, "AGAIN_SECONDS", 0.01)
    asked, ready = list[int](), Event()

    def forgetful(first: int) -> Iterator[Arrival]:
        asked.append(first)
        for number in range(first, min(first + 4, 9)):
            yield number, f"batch {number}"
        if len(asked) == 1:
            ready.wait()
        if first + 4 < 9:
            raise JobLost

    found = BatchArrivals(forgetful, 0, 9, MOST, "it")
    assert [found.take(number) for number in range(3)] == [
        f"batch {number}" for number in range(3)
    ]
    ready.set()
    assert taken(found, range(3, 9)) == [f"batch {number}" for number in range(3, 9)]
    assert asked[0] == 0 and asked[1] in (3, 4)


def test_no_more_are_held_than_are_soon_wanted() -> None:
    asked: Queue[int] = Queue()

    def endless(first: int) -> Iterator[Arrival]:
        for number in range(1000):
            asked.put(number)
            yield number, number

    found = BatchArrivals(endless, 0, 1000, MOST, "it")
    assert [found.take(number) for number in range(50)] == list(range(50))
    found.close()
    assert asked.qsize() <= 50 + READY + 1
