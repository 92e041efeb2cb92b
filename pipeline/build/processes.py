"""Processes that encode photos and may die of one: what they held is tried again.

Each has a pipe of its own, because a lock that is shared stays locked when its holder
is killed. A photo that crashes two of them, alone, is set aside. One with which two are
killed from outside, as for want of memory, ends the build: nothing speaks against it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from queue import SimpleQueue
from threading import Thread
from typing import Any

from alexnet.pipeline.build.shared_memory import NoRecord, Slots, Told
from alexnet.pipeline.errors import DataError, ReadError
from alexnet.pipeline.records.encode import Encoded
from alexnet.pipeline.source.scan import ImageFile

EncodeOne = Callable[[ImageFile], "Encoded | str"]

# What kills a process by chance, such as want of memory, seldom comes back at once.
DEATHS_OF_ONE_PHOTO = 2
# With what the system ends a process that does wrong; all others are sent to it.
CRASH_SIGNALS = {
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGSYS, signal.SIGTRAP),
}
CRASHED = "its decoder crashed"
# Processes in a row that end before they are ready: no photo is to blame for that.
MAX_FALSE_STARTS = 3
# How long a process whose pipe has ended may take to end as well.
END_SECONDS = 5
# Of glibc's malloc.h, and up to how many bytes freed memory is kept.
M_TRIM_THRESHOLD, KEPT_BYTES = -1, 2**26
M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES = -3, 2**25


@dataclass(eq=False)
class Chunk:
    """Files for one process, a slot for their records, and what was told of them."""

    files: list[ImageFile]
    slot: int
    told: list[Told | Encoded | NoRecord] = field(default_factory=list)
    # A process died of it: its files are tried one by one, without the slot.
    alone: bool = False
    deaths: int = 0

    @property
    def done(self) -> bool:
        """Tell whether all of its files are told of, or one ends the build."""
        ended = bool(self.told) and isinstance(self.told[-1], ReadError)
        return ended or len(self.told) == len(self.files)

    def task(self) -> tuple[list[ImageFile], int | None]:
        """What a process is to encode next, and the slot it may use."""
        if not self.alone:
            return self.files, self.slot
        at = len(self.told)
        return self.files[at : at + 1], None


class Worker:
    """A process, replaced when it dies, and the chunks it was given, oldest first."""

    def __init__(self, encode: EncodeOne, slots: Slots) -> None:
        self.encode, self.slots = encode, slots
        self.chunks: deque[Chunk] = deque()
        self.false_starts = 0
        self._start()

    def give(self, chunk: Chunk) -> None:
        """Have `chunk` encoded after those it was given before."""
        self.chunks.append(chunk)
        self._send(chunk)

    def hear(self) -> None:
        """Take in what the process told, or that it died.

        Raises:
            DataError: processes end as soon as they start.
        """
        try:
            told = self.pipe.recv()
        except (EOFError, OSError):
            self._replace()
            return
        if told is None:
            self.ready, self.false_starts = True, 0
            return
        if isinstance(told, Exception):
            raise told
        chunk = self.chunks.popleft()
        chunk.told += told
        chunk.deaths = 0
        if not chunk.done:
            self.give(chunk)

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def _start(self) -> None:
        context = get_context("spawn")
        self.ready = False
        self.pipe: Any
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, self.encode, self.slots)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        try:
            with _ctrl_c_held():
                self.process.start()
        except OSError as error:
            raise DataError(
                f"a worker process cannot be started: {error.strerror}. Give fewer"
                " `workers`; with 1 there are none."
            ) from error
        finally:
            theirs.close()

    def _send(self, chunk: Chunk) -> None:
        with suppress(OSError):  # it has died, which `hear` will find
            self.pipe.send(chunk.task())

    def _replace(self) -> None:
        """Start a process in the dead one's place; blame the chunk that it was at."""
        self.process.join(END_SECONDS)
        code = self.process.exitcode
        self.end()
        if not self.ready:
            self._count_false_start(code)
        elif self.chunks:
            self._blame(self.chunks[0], code)
        self._start()
        for chunk in self.chunks:
            self._send(chunk)

    def _count_false_start(self, code: int | None) -> None:
        self.false_starts += 1
        if self.false_starts == MAX_FALSE_STARTS:
            raise DataError(
                f"worker processes end as soon as they start ({_ending(code)}). A"
                " script that builds needs `if __name__ == '__main__':` around what it"
                " does; else give `workers=1`, with which there are none."
            )

    def _blame(self, chunk: Chunk, code: int | None) -> None:
        if not chunk.alone:
            chunk.alone = True
            return
        chunk.deaths += 1
        if chunk.deaths == DEATHS_OF_ONE_PHOTO:
            chunk.told.append(_verdict(chunk.files[len(chunk.told)], code))
            chunk.deaths = 0
        if chunk.done:
            self.chunks.popleft()


def _verdict(file: ImageFile, code: int | None) -> NoRecord:
    """Say what a photo is that two processes died with."""
    if code is None or code >= 0 or -code in CRASH_SIGNALS:
        return f"{CRASHED} ({_ending(code)})"
    memory = ", out of memory?" if -code == signal.SIGKILL else ""
    return ReadError(
        f"{file.key}: {DEATHS_OF_ONE_PHOTO} processes were killed while they decoded it"
        f" ({_ending(code)}{memory}). The file itself may be good, so it was not set"
        " aside. Give fewer `workers`, free memory, or take the file away."
    )


def _ending(code: int | None) -> str:
    """How a process ended, by its exit code."""
    return f"exit status {code}" if code is None or code >= 0 else f"signal {-code}"


@contextmanager
def crew(encode: EncodeOne, slots: Slots, size: int) -> Iterator[list[Worker]]:
    """`size` processes, which end with the block."""
    workers: list[Worker] = []
    with ExitStack() as ends:  # each of them, also when one is interrupted
        for _ in range(size):
            workers.append(Worker(encode, slots))
            ends.callback(workers[-1].end)
        yield workers


def hear_from(workers: list[Worker]) -> None:
    """Wait until some of `workers` have something to tell, and take it in."""
    told: set[Any] = set(wait([worker.pipe for worker in workers]))
    for worker in workers:
        if worker.pipe in told:
            worker.hear()


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Hold Ctrl-C back from this process, and from those started here for ever.

    A worker that is still importing would end with a traceback.
    """
    resource_tracker.ensure_running()  # it would let go of the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def keep_freed_memory() -> None:
    """Let this process keep what it frees: glibc gives it back and asks for it anew.

    With every photo, that is; the page faults cost a worker a fifth of its time.
    """
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)


def _work(pipe: Connection, encode: EncodeOne, slots: Slots) -> None:
    """What a process does: encode what comes through the pipe until it is killed."""
    keep_freed_memory()
    tasks: SimpleQueue[tuple[list[ImageFile], int | None]] = SimpleQueue()
    Thread(target=_receive, args=(pipe, tasks), daemon=True).start()
    pipe.send(None)
    while True:
        files, slot = tasks.get()
        results = _results(encode, files)
        try:
            told = list(results) if slot is None else slots.put(slot, results)
        except Exception as error:
            pipe.send(ExceptionWithTraceback(error, error.__traceback__))
            continue
        pipe.send(told)


def _results(encode: EncodeOne, files: list[ImageFile]) -> Iterator[Encoded | NoRecord]:
    """Encode files until one cannot be read, which is told in its turn."""
    try:
        for file in files:
            yield encode(file)
    except ReadError as error:
        yield error


def _receive(pipe: Connection, tasks: SimpleQueue[Any]) -> None:
    """Pass tasks on as they come: who gives them must never wait, or both would.

    The pipe ends when the build does, however that was killed.
    """
    try:
        while True:
            tasks.put(pipe.recv())
    finally:
        os._exit(0)
