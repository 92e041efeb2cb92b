"""A process pool that survives decoder crashes: what a dead process held is retried.

Each process has a pipe of its own, because a lock that is shared stays locked when its
holder is killed. A photo that crashes two of them, alone, is set aside. One with which
two are killed from outside, as for want of memory, ends the build: that is no evidence
against the photo.
"""

from __future__ import annotations

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
from typing import Any, TypeAlias

from alexnet.pipeline.build.encode_job import EncodeResult, keep_freed_memory
from alexnet.pipeline.build.shared_memory import SharedMemory, SlotEntry
from alexnet.pipeline.errors import DataError, ReadError
from alexnet.pipeline.source.scan import ImageFile

Encode = Callable[[ImageFile], EncodeResult]
# Files to encode, and the slot for their records.
Task: TypeAlias = "tuple[list[ImageFile], int | None]"

# What kills a process by chance, such as want of memory, seldom comes back at once.
DEATHS_OF_ONE_PHOTO = 2
# The system sends these to a process that does wrong; all others come from outside.
CRASH_SIGNALS = {
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGSYS, signal.SIGTRAP),
}
CRASHED = "its decoder crashed"
# Processes in a row that end before they are ready: no photo is to blame for that.
MAX_FALSE_STARTS = 3
# How long a process whose pipe has ended may take to end as well.
END_SECONDS = 5


@dataclass(eq=False)
class Chunk:
    """Files for one process, the slot for their records, and the results so far."""

    files: list[ImageFile]
    slot: int
    entries: list[SlotEntry] = field(default_factory=list)
    # Ends the build, behind the entries.
    error: Exception | None = None
    # A process died of the chunk: its files are tried one by one, without the slot.
    isolated: bool = False
    deaths: int = 0

    @property
    def done(self) -> bool:
        """Tell whether nothing of the chunk is left to encode."""
        return self.error is not None or len(self.entries) == len(self.files)

    def task(self) -> Task:
        """Return what a process is to do next."""
        if not self.isolated:
            return self.files, self.slot
        start = len(self.entries)
        return self.files[start : start + 1], None

    def results(self, memory: SharedMemory) -> Iterator[EncodeResult]:
        """Yield the results of the files in order.

        Raises:
            Exception: what ended the encoding, when all results before it are yielded.
        """
        yield from memory.take(self.slot, self.entries)
        if self.error is not None:
            raise self.error


class Worker:
    """A process, replaced when it dies, and the chunks it was given, oldest first."""

    def __init__(self, encode: Encode, memory: SharedMemory) -> None:
        self.encode, self.memory = encode, memory
        self.chunks: deque[Chunk] = deque()
        self.false_starts = 0
        self._start()

    def submit(self, chunk: Chunk) -> None:
        """Have `chunk` encoded after those that were submitted before."""
        self.chunks.append(chunk)
        self._send(chunk)

    def receive(self) -> None:
        """Take in results of the process, or its death.

        Raises:
            DataError: processes end as soon as they start.
        """
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self._replace()
            return
        if message is None:
            self.ready, self.false_starts = True, 0
            return
        chunk = self.chunks.popleft()
        entries, chunk.error = message
        chunk.entries += entries
        chunk.deaths = 0
        if not chunk.done:
            self.submit(chunk)

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def _start(self) -> None:
        context = get_context("spawn")
        self.ready = False
        self.pipe: Any
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, self.encode, self.memory)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        try:
            with _ctrl_c_blocked():
                self.process.start()
        except OSError as error:
            raise DataError(
                f"cannot start a worker process: {error.strerror}. Give fewer"
                " `workers`; `workers=1` starts none."
            ) from error
        finally:
            theirs.close()

    def _send(self, chunk: Chunk) -> None:
        with suppress(OSError):  # it has died, which `receive` will find
            self.pipe.send(chunk.task())

    def _replace(self) -> None:
        """Start a process in the dead one's place; isolate or judge its chunk."""
        self.process.join(END_SECONDS)
        code = self.process.exitcode
        self.end()
        if not self.ready:
            self._count_false_start(code)
        elif self.chunks:
            self._count_death(self.chunks[0], code)
        self._start()
        for chunk in self.chunks:
            self._send(chunk)

    def _count_false_start(self, code: int | None) -> None:
        self.false_starts += 1
        if self.false_starts == MAX_FALSE_STARTS:
            raise DataError(
                f"worker processes end as soon as they start ({_ending(code)}). In a"
                " script, put what it does below `if __name__ == '__main__':`, or give"
                " `workers=1`, which starts none."
            )

    def _count_death(self, chunk: Chunk, code: int | None) -> None:
        if not chunk.isolated:
            chunk.isolated = True
            return
        chunk.deaths += 1
        if chunk.deaths < DEATHS_OF_ONE_PHOTO:
            return
        file, chunk.deaths = chunk.files[len(chunk.entries)], 0
        if code is None or code >= 0 or -code in CRASH_SIGNALS:
            reason = f"{CRASHED} ({_ending(code)})"
            chunk.entries.append(SlotEntry(0, EncodeResult(file, reason=reason)))
        else:
            chunk.error = _killed(file, code)
        if chunk.done:
            self.chunks.popleft()


def _killed(file: ImageFile, code: int) -> ReadError:
    memory = ", out of memory?" if -code == signal.SIGKILL else ""
    return ReadError(
        f"{file.key}: {DEATHS_OF_ONE_PHOTO} processes were killed while they decoded it"
        f" ({_ending(code)}{memory}). The file itself may be good, so it was not set"
        " aside. Give fewer `workers`, free memory, or take the file away."
    )


def _ending(code: int | None) -> str:
    """Describe the end of a process by its exit code."""
    return f"exit status {code}" if code is None or code >= 0 else f"signal {-code}"


@contextmanager
def process_pool(
    encode: Encode, memory: SharedMemory, size: int
) -> Iterator[list[Worker]]:
    """Yield `size` workers, which end with the block."""
    workers: list[Worker] = []
    with ExitStack() as ends:  # each of them, also when one is interrupted
        for _ in range(size):
            workers.append(Worker(encode, memory))
            ends.callback(workers[-1].end)
        yield workers


def receive_any(workers: list[Worker]) -> None:
    """Wait until some of `workers` have sent something, and take it in."""
    pipes: set[Any] = set(wait([worker.pipe for worker in workers]))
    for worker in workers:
        if worker.pipe in pipes:
            worker.receive()


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Keep Ctrl-C from this process, and for good from those started in the block.

    A worker that is still importing would end with a traceback.
    """
    resource_tracker.ensure_running()  # it would unblock the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, encode: Encode, memory: SharedMemory) -> None:
    """Encode the files that come through the pipe until the process is killed."""
    keep_freed_memory()
    tasks: SimpleQueue[Task] = SimpleQueue()
    Thread(target=_receive_tasks, args=(pipe, tasks), daemon=True).start()
    pipe.send(None)
    while True:
        files, slot = tasks.get()
        entries: list[SlotEntry] = []
        failure = None
        try:
            for entry in memory.put(slot, map(encode, files)):
                entries.append(entry)
        except Exception as error:
            failure = ExceptionWithTraceback(error, error.__traceback__)
        pipe.send((entries, failure))


def _receive_tasks(pipe: Connection, tasks: SimpleQueue[Task]) -> None:
    """Take tasks in as they come: the build must never wait to send one.

    The pipe ends when the build does, however that was killed.
    """
    try:
        while True:
            tasks.put(pipe.recv())
    finally:
        os._exit(0)
