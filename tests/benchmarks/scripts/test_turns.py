"""Processes in turn: CPU time as the process counts it itself, and still in between."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import pytest

from alexnet.benchmarks.scripts.turns import (
    Contender,
    cpu_seconds,
    started,
    take_rounds,
)
from alexnet.pipeline.errors import ConfigError

# Reports as images the microseconds of CPU time that it has spent since it last did,
# and waits as long by the clock.
HONEST = """
import time
before = time.process_time_ns()
while True:
    while (now := time.process_time_ns()) < before + 2_000_000:
        pass
    print((now - before) // 1000, flush=True)
    before = now
    time.sleep(0.002)
"""
# Uses CPU time in a thread that has ended when it says how much.
BUSY = """
import threading, time
def work():
    while time.thread_time() < 0.1:
        pass
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(time.process_time(), flush=True)
input()
"""
# Ends when it may go on after a stop.
UNLUCKY = """
import signal
def end(*_):
    raise RuntimeError("no such luck")
signal.signal(signal.SIGCONT, end)
print(50, flush=True)
signal.pause()
"""
ENDED = r"unlucky ended with exit code 1:.*no such luck"


def command(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_cpu_time_is_what_the_process_and_the_system_count() -> None:
    """Between what it says before, and what the system says when it has ended."""

    def of_children() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = of_children()
    with subprocess.Popen(
        command(BUSY), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = float(process.stdout.readline())
        counted = cpu_seconds(process.pid)
        process.communicate("\n")
    # The system rounds to microseconds.
    assert 0.1 < said <= counted <= of_children() - before + 1e-5


def test_a_turn_is_paid_for_in_cpu_time_alone() -> None:
    """It spends half of its time waiting, which costs nothing."""
    with started("honest", command(HONEST)) as contender:
        contender.warm_up(1)
        rates = [contender.take_turn(0.3) for _ in range(3)]
        stopped_at = cpu_seconds(contender.process.pid)
        time.sleep(0.05)
        assert cpu_seconds(contender.process.pid) == stopped_at
    assert contender.process.poll() is not None
    # Python's own work for a line comes on top.
    assert sum(rates) / 3 == pytest.approx(1e6, rel=0.15)


def test_a_contender_that_ends_in_its_turn_gives_the_reason() -> None:
    with started("unlucky", command(UNLUCKY)) as contender:
        contender.warm_up(50)
        with pytest.raises(ConfigError, match=ENDED):
            contender.take_turn(1)


def test_a_contender_that_ends_before_its_turns_gives_the_reason() -> None:
    script = "print(50, flush=True)\nraise RuntimeError('no such luck')"
    with (
        started("unlucky", command(script)) as contender,
        pytest.raises(ConfigError, match=ENDED),
    ):
        contender.warm_up(51)


def test_a_turn_without_a_batch_is_too_short() -> None:
    script = "import time\nprint(8, flush=True)\ntime.sleep(60)"
    with (
        started("slow", command(script)) as contender,
        pytest.raises(ConfigError, match=r"slow delivered nothing .* `--seconds`"),
    ):
        contender.warm_up(8)
        contender.take_turn(0.01)


def test_another_begins_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []

    def take_turn(self: Contender, seconds: float) -> float:
        turns.append(self.name)
        return len(turns)

    monkeypatch.setattr(Contender, "take_turn", take_turn)
    unstarted: list[object] = [None, None]
    contenders = [Contender(name, *unstarted) for name in "abc"]  # type: ignore[arg-type]
    rounds = take_rounds(contenders, 4, 1.0)
    assert "".join(turns) == "abcbcacababc"
    assert rounds[1] == {"b": 4, "c": 5, "a": 6}
