"""Processes that take turns, and how many images each makes in a CPU second.

All stand still but the one whose turn it is. Other work on the machine takes seconds by
the clock from it, and hardly any CPU time: images for the same CPU time can be compared
where rates by the clock cannot. For Linux.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from alexnet.benchmarks.loaders.environment import last_lines
from alexnet.benchmarks.rounds import Round
from alexnet.pipeline.errors import ConfigError

# More than a pipe holds; counts are written whole.
PIPE_BYTES = 2**20
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Contender:
    """A command that runs, and prints how many images each of its batches holds."""

    name: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    def warm_up(self, num_images: int) -> None:
        """Let it deliver so many images, then stop it.

        Raises:
            ConfigError: it ended.
        """
        delivered = 0
        while delivered < num_images:
            time.sleep(POLL_SECONDS)
            if self.process.poll() is not None:
                raise self._ended()
            delivered += self._delivered()
        self._stop()

    def take_turn(self, seconds: float) -> float:
        """Let it run, stop it, and return its images per CPU second meanwhile.

        What a stop interrupts is counted when it is delivered: half-made batches of one
        turn are paid for by the next, and even out over the turns.

        Raises:
            ConfigError: it ended, or delivered nothing.
        """
        self._delivered()
        before = cpu_seconds(self.process.pid)
        os.kill(self.process.pid, signal.SIGCONT)
        time.sleep(seconds)
        self._stop()
        images = self._delivered()
        if not images:
            raise ConfigError(
                f"{self.name} delivered nothing in a turn of {seconds:g} s: give it"
                " more `--seconds`"
            )
        return images / (cpu_seconds(self.process.pid) - before)

    def _stop(self) -> None:
        # Not by Popen, which would take an end for itself before it is waited for.
        os.kill(self.process.pid, signal.SIGSTOP)
        # Threads run on for a moment.
        options = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        state = os.waitid(os.P_PID, self.process.pid, options)
        if state is None or state.si_code != os.CLD_STOPPED:
            raise self._ended()

    def _delivered(self) -> int:
        """The images that it has reported since the last time."""
        if self.process.stdout is None:
            return 0
        # None where nothing is there, as it does not block.
        printed = self.process.stdout.read(PIPE_BYTES) or b""
        return sum(map(int, printed.split()))

    def _ended(self) -> ConfigError:
        code = self.process.wait()
        reason = last_lines(self.errors)
        return ConfigError(f"{self.name} ended with exit code {code}: {reason}")


@contextmanager
def started(name: str, command: Sequence[str]) -> Iterator[Contender]:
    """A command as a contender, which is killed in the end."""
    with (
        tempfile.TemporaryFile() as errors,
        # Unbuffered, and in our process group: where this process is killed, the system
        # has those of the group that are stopped end as well.
        subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            if process.stdout:
                os.set_blocking(process.stdout.fileno(), False)
            yield Contender(name, process, errors)
        finally:
            process.kill()


def take_rounds(
    contenders: Sequence[Contender], num_rounds: int, seconds: float
) -> list[Round]:
    """Images per CPU second in each round; another contender begins every one of them.

    Raises:
        ConfigError: a contender ended, or delivered nothing.
    """
    rounds: list[Round] = []
    for number in range(num_rounds):
        first = number % len(contenders)
        order = [*contenders[first:], *contenders[:first]]
        rounds.append({one.name: one.take_turn(seconds) for one in order})
    return rounds


def cpu_seconds(process_id: int) -> float:
    """The CPU time of a process's threads so far, also of those that have ended."""
    clock = ctypes.c_int()
    # clock_getcpuclockid(3), which Python has for threads alone.
    error = ctypes.CDLL(None).clock_getcpuclockid(process_id, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return time.clock_gettime(clock.value)
