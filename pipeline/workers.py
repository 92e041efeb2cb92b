"""Encode image files in worker processes, results in the order they were asked for.

The workers import Pillow and no TensorFlow; how many there are changes no byte.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, resource_tracker

from pipeline.config import BuildConfig
from pipeline.errors import DataError
from pipeline.folder import ImageFile
from pipeline.pixels import BadImage
from pipeline.record import encode_record
from pipeline.store import Store

# Images a worker takes at a time: large enough to hide the hand-over, small enough
# that progress is smooth and memory stays flat.
CHUNK = 16
CHUNKS_IN_FLIGHT_PER_WORKER = 4


def num_cpus() -> int:
    """CPUs this process may use, which a container can make fewer than there are."""
    return len(os.sched_getaffinity(0))


Encode = Callable[[Iterable[ImageFile]], Iterator["bytes | str"]]


@contextmanager
def encoder(job: EncodeJob, workers: int) -> Iterator[Encode]:
    """A function that yields, in order, each file's record or why it has none."""
    if workers == 1:
        yield lambda files: (job.encode(file) for file in files)
        return
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start_worker, initargs=(job,)
    )
    try:
        with _ctrl_c_held():
            for _ in range(workers):  # each call starts one
                pool.submit(int)
        yield lambda files: _encode_in_order(pool, files, workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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


@dataclass(frozen=True)
class EncodeJob:
    """What a worker needs to encode a file."""

    store: Store
    class_names: tuple[str, ...]
    config: BuildConfig

    def encode(self, file: ImageFile) -> bytes | str:
        """The file's record, or the reason why it has none."""
        try:
            data = self.store.read(file.key)
            class_name = self.class_names[file.label]
            return encode_record(data, file.key, file.label, class_name, self.config)
        except BadImage as error:
            return str(error)
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"


_job: EncodeJob


def _start_worker(job: EncodeJob) -> None:
    global _job
    _job = job


def _encode_chunk(files: list[ImageFile]) -> list[bytes | str]:
    return [_job.encode(file) for file in files]


def _encode_in_order(
    pool: ProcessPoolExecutor, files: Iterable[ImageFile], workers: int
) -> Iterator[bytes | str]:
    """Results in the order of `files`, with a bounded number of chunks in flight."""
    files = iter(files)
    pending: deque[tuple[list[ImageFile], Future[list[bytes | str]]]] = deque()
    while True:
        while len(pending) < workers * CHUNKS_IN_FLIGHT_PER_WORKER:
            chunk = list(islice(files, CHUNK))
            if not chunk:
                break
            pending.append((chunk, pool.submit(_encode_chunk, chunk)))
        if not pending:
            return
        chunk, future = pending.popleft()
        try:
            yield from future.result()
        except BrokenProcessPool as error:
            raise DataError(
                f"a worker process died near {chunk[0].key!r} (out of memory?)."
                " Finished shards are kept: run it again, with fewer --workers."
            ) from error
