"""Work on every CPU: all of it counted, none left behind."""

from __future__ import annotations

import threading
import time
from itertools import count, islice

import pytest

from alexnet.benchmarks import parallel
from alexnet.benchmarks.measure import Deliveries
from alexnet.benchmarks.parallel import on_all_cpus

CPUS = 3


@pytest.fixture(autouse=True)
def three_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "num_cpus", lambda: CPUS)


def seen_until(deliveries: Deliveries, wanted: set[float]) -> set[float]:
    """What is delivered until all of `wanted` came; it may take one thread long."""
    seen: set[float] = set()
    for delivered in islice(deliveries, 1_000_000):
        seen.add(delivered)
        if seen >= wanted:
            break
    return seen


def test_every_cpu_delivers_what_it_did() -> None:
    def work(cpu: int, cpus: int) -> Deliveries:
        assert cpus == CPUS
        while True:
            time.sleep(0.001)
            yield 10**cpu

    deliveries = on_all_cpus(work)
    assert seen_until(deliveries, {1, 10, 100}) == {1, 10, 100}
    deliveries.close()


def test_a_slow_one_holds_no_other_up() -> None:
    held = threading.Event()

    def work(cpu: int, cpus: int) -> Deliveries:
        if cpu == 0:
            held.wait()
        yield from iter(lambda: cpu, None)

    deliveries = on_all_cpus(work)
    try:
        assert seen_until(deliveries, {1, 2}) == {1, 2}
    finally:
        held.set()
        deliveries.close()


def test_nobody_runs_far_ahead_and_all_end_when_closed() -> None:
    done, threads = [0] * CPUS, set(threading.enumerate())

    def work(cpu: int, cpus: int) -> Deliveries:
        for done[cpu] in count(1):
            yield 1

    deliveries = on_all_cpus(work)
    assert sum(islice(deliveries, 20)) == 20
    time.sleep(0.05)
    ahead = sum(done) - 20
    deliveries.close()
    assert ahead <= 3 * CPUS
    assert threads.issuperset(threading.enumerate())


def test_an_error_ends_it() -> None:
    def work(cpu: int, cpus: int) -> Deliveries:
        yield 1
        if cpu == 1:
            raise ValueError("broken photo")
        yield from iter(lambda: 1, None)

    with pytest.raises(ValueError, match="broken photo"):
        list(on_all_cpus(work))
