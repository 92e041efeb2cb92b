"""Encode image files in worker processes; the results come in the order of the files.

How many processes there are changes no byte. Their records come back through shared
memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from alexnet.pipeline.build.chunk import Chunk
from alexnet.pipeline.build.encode_job import (
    EncodeJob,
    EncodeResult,
    keep_freed_memory,
)
from alexnet.pipeline.build.processes import Worker, process_pool, receive_any
from alexnet.pipeline.build.shared_memory import SharedMemory
from alexnet.pipeline.source.scan import ImageFile

# Images a worker takes at a time: enough to hide the 0.3 ms of a hand-over, few enough
# that all workers end at about the same time.
CHUNK = 32
# Enough in flight to go on while a shard is written out to the disk.
SLOTS_PER_WORKER = 3
MAX_SLOT_BYTES = 2**22

EncodeAll = Callable[[Iterable[ImageFile]], Iterator[EncodeResult]]


@contextmanager
def encoder(
    job: EncodeJob, workers: int, record_bytes: int, *, isolated: bool = False
) -> Iterator[EncodeAll]:
    """Yield a function that encodes files in `workers` processes, in order.

    Args:
        record_bytes: about what a record takes.
        isolated: let no photo end this process, in which a lone worker else encodes.
    """
    keep_freed_memory()
    if workers == 1 and not isolated:
        yield lambda files: _encode_here(job, files)
        return
    slot_bytes = min(MAX_SLOT_BYTES, 2 * CHUNK * record_bytes)
    batch = max(1, min(CHUNK, slot_bytes // record_bytes))
    num_slots = workers * SLOTS_PER_WORKER
    memory = SharedMemory.allocate(num_slots, slot_bytes)
    with process_pool(job.expect, job.encode, memory, workers) as pool:
        yield lambda files: _encode_in_order(pool, memory, num_slots, files, batch)


def useful_workers(num_files: int, workers: int) -> int:
    """Return how many of `workers` are worth starting for so few files."""
    return max(1, min(workers, num_files // CHUNK))


def _encode_here(job: EncodeJob, files: Iterable[ImageFile]) -> Iterator[EncodeResult]:
    """Yield results in the order of `files`; those of the next chunk are expected."""
    files = iter(files)
    chunk = list(islice(files, CHUNK))
    job.expect(chunk)
    while chunk:
        following = list(islice(files, CHUNK))
        job.expect(following)
        yield from map(job.encode, chunk)
        chunk = following


def _encode_in_order(
    pool: list[Worker],
    memory: SharedMemory,
    num_slots: int,
    files: Iterable[ImageFile],
    batch: int,
) -> Iterator[EncodeResult]:
    """Yield results in the order of `files`, of which `batch` share a slot."""
    files, free = iter(files), list(range(num_slots))
    pending: deque[Chunk] = deque()
    while True:
        while free and (some := list(islice(files, batch))):
            pending.append(Chunk(some, free.pop()))
            min(pool, key=lambda worker: len(worker.chunks)).submit(pending[-1])
        if not pending:
            return
        chunk = pending.popleft()
        while not chunk.done:
            receive_any(pool)
        yield from chunk.results(memory)
        free.append(chunk.slot)
