"""Encode image files in worker processes, results in the order they were asked for.

The workers import Pillow and no TensorFlow; how many there are changes no byte. Their
records come back through shared memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from alexnet.pipeline.build.processes import (
    Chunk,
    Worker,
    crew,
    hear_from,
    keep_freed_memory,
)
from alexnet.pipeline.build.shared_memory import Slots
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import BadImage, ReadError
from alexnet.pipeline.records.encode import Encoded, encode_record
from alexnet.pipeline.records.fixed_layout import Layout
from alexnet.pipeline.source.scan import ImageFile
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Store

# Images a worker takes at a time: enough to hide the 0.3 ms of a hand-over, few enough
# that all workers end at about the same time.
CHUNK = 32
# Enough in flight to go on while a shard is written out to the disk.
SLOTS_PER_WORKER = 3
MAX_SLOT_BYTES = 2**22

Encode = Callable[[Iterable[ImageFile]], Iterator["Encoded | str"]]


@contextmanager
def encoder(job: EncodeJob, workers: int, record_bytes: int) -> Iterator[Encode]:
    """A function that yields, in order, each file's record or why it has none.

    `record_bytes` is about what a record comes to.
    """
    keep_freed_memory()
    if workers == 1:
        yield lambda files: (job.encode(file) for file in files)
        return
    slot_bytes = min(MAX_SLOT_BYTES, 2 * CHUNK * record_bytes)
    size = max(1, min(CHUNK, slot_bytes // record_bytes))
    count = workers * SLOTS_PER_WORKER
    slots = Slots.make(count, slot_bytes)
    with crew(job.encode, slots, workers) as members:
        yield lambda files: _encode_in_order(members, slots, count, files, size)


def usable_keys(
    job: EncodeJob, files: list[ImageFile], workers: int, record_bytes: int
) -> set[str]:
    """The keys of those files that a record can be made of."""
    # Processes cost more than they bring when each has but a chunk to do.
    workers = max(1, min(workers, len(files) // CHUNK))
    with encoder(job, workers, record_bytes) as encode:
        results = zip(files, encode(files), strict=True)
        return {file.key for file, made in results if isinstance(made, Encoded)}


@dataclass(frozen=True)
class EncodeJob:
    """What a worker needs to encode a file."""

    store: Store
    class_names: tuple[str, ...]
    config: BuildConfig
    layout: Layout | None

    def encode(self, file: ImageFile) -> Encoded | str:
        """The file's record, or the reason why it has none.

        Raises:
            ReadError: it cannot be read, for a reason that lies outside of it.
        """
        name, options = self.class_names[file.label], (self.config, self.layout)
        try:
            return read_file(
                self.store,
                file,
                lambda data: encode_record(data, file.key, file.label, name, *options),
            )
        except BadImage as error:
            return str(error)


def _encode_in_order(
    workers: list[Worker],
    slots: Slots,
    count: int,
    files: Iterable[ImageFile],
    size: int,
) -> Iterator[Encoded | str]:
    """Results in the order of `files`, `size` of them a slot, at most `count` slots.

    Raises:
        ReadError: a file cannot be read; the results before it were all given.
    """
    files, free = iter(files), list(range(count))
    pending: deque[Chunk] = deque()
    while True:
        while free and (some := list(islice(files, size))):
            pending.append(Chunk(some, free.pop()))
            min(workers, key=lambda worker: len(worker.chunks)).give(pending[-1])
        if not pending:
            return
        chunk = pending.popleft()
        while not chunk.done:
            hear_from(workers)
        for result in slots.take(chunk.slot, chunk.told):
            if isinstance(result, ReadError):
                raise result
            yield result
        free.append(chunk.slot)
