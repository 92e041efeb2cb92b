"""Bare work on every CPU at once: the limits' threads, which never wait for each other.

A pool that hands out a round and waits for its end would be as slow as its slowest
thread, and no limit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from threading import Event

from alexnet.benchmarks.measure import Deliveries
from alexnet.pipeline.machine import num_cpus


def on_all_cpus(work: Callable[[int, int], Deliveries]) -> Deliveries:
    """What endless `work(cpu, num_cpus)` delivers, one of each for every CPU.

    The work has to free Python's lock for most of its time.
    """
    closed, cpus = Event(), num_cpus()
    # Nobody runs far ahead of what is counted.
    done: Queue[float | Exception] = Queue(2 * cpus)

    def run(cpu: int) -> None:
        try:
            for images in work(cpu, cpus):
                done.put(images)
                if closed.is_set():
                    return
        except Exception as error:
            done.put(error)

    with ThreadPoolExecutor(cpus) as threads:
        threads.map(run, range(cpus))
        try:
            while True:
                delivered = done.get()
                if isinstance(delivered, Exception):
                    raise delivered
                yield delivered
        finally:
            closed.set()
            # Whoever waits for room has it now, and ends.
            while not done.empty():
                done.get()
