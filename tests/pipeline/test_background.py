"""Threads that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import wait
from functools import partial
from threading import Barrier, Event

import pytest

from alexnet.pipeline.background import BackgroundPool
from tests.conftest import slow

SCRIPT = """
import time
from alexnet.pipeline.background import BackgroundPool
pool = BackgroundPool(2, "slow")
for _ in range(100):
    pool.submit(lambda: time.sleep(1000))
"""

INTERRUPTED = """
import signal, time
from threading import Timer, main_thread
from alexnet.pipeline.build import shard, work_list
from alexnet.pipeline.verify import verify
def away(*arguments):
    time.sleep(1000)
shard.read_receipt = work_list._path = away
class Inspector:
    inspect = away
class Shard:
    name, files = "train", ()
Timer(1, signal.pthread_kill, (main_thread().ident, signal.SIGINT)).start()
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_pool_does_some_things_at_a_time_and_tells_how_each_ended() -> None:
    pool, together = BackgroundPool(3, "three"), Barrier(3)
    met = [pool.submit(partial(together.wait, 250)) for _ in range(6)]
    assert sorted(future.result() for future in met) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result()
    assert pool.submit(lambda: "on").result() == "on"


def test_a_process_waits_for_no_pool() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=250)


def test_a_pool_maps_in_order_up_to_an_error() -> None:
    shares = BackgroundPool(3, "three").map(lambda divisor: 12 // divisor, (1, 2, 0, 3))
    assert [next(shares), next(shares)] == [12, 6]
    with pytest.raises(ZeroDivisionError):
        next(shares)


@pytest.mark.parametrize(
    "call",
    [
        "list(shard.read_receipts(None, [Shard(), Shard()]))",
        slow("work_list.save_work_lists(None, [Shard(), Shard()])"),
        "verify._inspect_on_threads(Inspector(), [0, 1], 2, verify._Meter(1, print))",
    ],
)
def test_ctrl_c_waits_for_no_store_that_is_away(call: str) -> None:
    script = INTERRUPTED.format(call=call)
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, check=True, timeout=250, stdout=subprocess.PIPE)
    assert ended.stdout == b"interrupted\n"


def test_a_pool_that_is_dropped_begins_nothing() -> None:
    pool, begun, go_on = BackgroundPool(1, "one"), Event(), Event()

    def hold() -> bool:
        begun.set()
        return go_on.wait(250)

    first, second = pool.submit(hold), pool.submit(lambda: True)
    begun.wait()
    del pool
    go_on.set()
    assert first.result()
    assert not wait([second], 0.1).done
