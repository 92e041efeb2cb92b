"""Threads that nobody waits for."""

from __future__ import annotations

import gc
import subprocess
import sys
from concurrent.futures import wait
from functools import partial
from threading import Barrier, Event

import pytest

from alexnet.pipeline.background import BackgroundPool

SCRIPT = """
import time
from alexnet.pipeline.background import BackgroundPool
pool = BackgroundPool(2, "slow")
for _ in range(100):
    pool.submit(lambda: time.sleep(100))
"""


def test_a_pool_does_some_things_at_a_time_and_tells_how_each_ended() -> None:
    pool, together = BackgroundPool(3, "three"), Barrier(3)
    met = [pool.submit(partial(together.wait, 10)) for _ in range(6)]
    assert sorted(future.result() for future in met) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result()
    assert pool.submit(lambda: "on").result() == "on"


def test_a_process_waits_for_no_pool() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=50)


def test_a_pool_that_is_dropped_begins_nothing() -> None:
    pool, begun, go_on = BackgroundPool(1, "one"), Event(), Event()

    def hold() -> bool:
        begun.set()
        return go_on.wait(10)

    first, second = pool.submit(hold), pool.submit(lambda: True)
    begun.wait()
    del pool
    gc.collect()
    go_on.set()
    assert first.result()
    assert not wait([second], 0.1).done
