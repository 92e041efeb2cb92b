"""A process pool that survives decoder crashes: what a dead process held is retried.

Each process has a pipe of its own, because a lock that is shared stays locked when its
holder is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import current_process, get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]
from queue import SimpleQueue
from threading import Lock, Thread
from types import ModuleType
from typing import Any

from alexnet.pipeline.build.chunk import Chunk, Task, describe_end
from alexnet.pipeline.build.encode_job import EncodeResult, keep_freed_memory
from alexnet.pipeline.build.shared_memory import SharedMemory, SlotEntry
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import ImageFile

Expect = Callable[[list[ImageFile]], None]
Encode = Callable[[ImageFile], EncodeResult]

# Processes in a row that end before they are ready: no photo is to blame for that.
MAX_FALSE_STARTS = 3
# How long a process whose pipe has ended may take to end as well.
END_SECONDS = 5

# Held while the main module is hidden.
_hidden = Lock()


class Worker:
    """A process, replaced when it dies, and the chunks it was given, oldest first."""

    def __init__(self, expect: Expect, encode: Encode, memory: SharedMemory) -> None:
        self.expect, self.encode, self.memory = expect, encode, memory
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
        _require_parent()
        context = get_context("spawn")
        self.ready = False
        self.pipe: Any
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, self.expect, self.encode, self.memory)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        try:
            with _ctrl_c_blocked(), _no_main_module():
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
            self.chunks[0].count_death(code)
            if self.chunks[0].done:
                self.chunks.popleft()
        self._start()
        for chunk in self.chunks:
            self._send(chunk)

    def _count_false_start(self, code: int | None) -> None:
        self.false_starts += 1
        if self.false_starts == MAX_FALSE_STARTS:
            raise DataError(
                f"worker processes end as soon as they start ({describe_end(code)});"
                " what they said stands above. Give `workers=1`, which starts none."
            )


@contextmanager
def process_pool(
    expect: Expect, encode: Encode, memory: SharedMemory, size: int
) -> Iterator[list[Worker]]:
    """Yield `size` workers, which end with the block.

    Each calls `expect` with the files of a task as it comes in, `encode` with each of
    them when its turn has come.
    """
    workers: list[Worker] = []
    with ExitStack() as ends:  # each of them, also when one is interrupted
        for _ in range(size):
            workers.append(Worker(expect, encode, memory))
            ends.callback(workers[-1].end)
        yield workers


def receive_any(workers: list[Worker]) -> None:
    """Wait until some of `workers` have sent something, and take it in."""
    pipes: set[Any] = set(wait([worker.pipe for worker in workers]))
    for worker in workers:
        if worker.pipe in pipes:
            worker.receive()


def _require_parent() -> None:
    """Check that this process may have children.

    Raises:
        DataError: it is a daemon, as Dask's workers are by default.
    """
    if current_process().daemon:
        raise DataError(
            "photos are decoded in processes of their own, and this one is a daemon,"
            " which may start none. Start Dask's workers with"
            " DASK_DISTRIBUTED__WORKER__DAEMON=False."
        )


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


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the main module from processes that are started in the block.

    They would run a user's script again to its call of `build`, if it has no
    `if __name__ == "__main__":`, and need nothing of it. Beam's threads start theirs at
    the same time: one after the other, or the last would put a hidden one back.
    """
    with _hidden:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _work(
    pipe: Connection, expect: Expect, encode: Encode, memory: SharedMemory
) -> None:
    """Encode the files that come through the pipe until the process is killed."""
    keep_freed_memory()
    tasks: SimpleQueue[Task] = SimpleQueue()
    Thread(target=_receive_tasks, args=(pipe, tasks, expect), daemon=True).start()
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


def _receive_tasks(pipe: Connection, tasks: SimpleQueue[Task], expect: Expect) -> None:
    """Take tasks in as they come: the build must never wait to send one.

    The pipe ends when the build does, however that was killed.
    """
    try:
        while True:
            task = pipe.recv()
            expect(task[0])
            tasks.put(task)
    finally:
        os._exit(0)
