"""Shards on their way to a store: written here one by one, sent in the background.

A few are on the disk at a time, and no more, however slow the store is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore, Thread
from typing import TypeAlias

from alexnet.pipeline.build.claim import Claim
from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.shard import send_shard, write_planned
from alexnet.pipeline.build.state import STATE
from alexnet.pipeline.records.fixed_layout import Layout
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place

# On the disk at a time, the one that is being written included.
MOST_SHARDS = 4

WriteShard: TypeAlias = Callable[[ShardPlan, Iterable[EncodeResult]], None]


@contextmanager
def shard_writer(
    out: Place, claim: Claim, layout: Layout | None
) -> Iterator[WriteShard]:
    """Yield a function that writes a shard to `out`; all are there after the block.

    Raises:
        DataError: another build has taken the place.
        RemoteError: the store fails for long.
    """
    if isinstance(out, Path):
        yield partial(write_planned, out)
        return
    with (
        TemporaryDirectory(prefix="alexnet-build-", ignore_cleanup_errors=True) as name,
        Uploads(Path(name), out, claim, layout) as uploads,
    ):
        yield uploads.write


class Uploads:
    """Sends shards from a folder to a store, each in a thread of its own."""

    def __init__(
        self, folder: Path, out: Location, claim: Claim, layout: Layout | None
    ) -> None:
        self.folder, self.out, self.claim, self.layout = folder, out, claim, layout
        self._free = BoundedSemaphore(MOST_SHARDS)
        self._threads: list[Thread] = []
        self._failure: Exception | None = None

    def __enter__(self) -> Uploads:
        (self.folder / STATE).mkdir()
        return self

    def write(self, shard: ShardPlan, results: Iterable[EncodeResult]) -> None:
        """Write a shard, when there is room for it, and begin to send it.

        Raises:
            Exception: what an earlier one failed with.
        """
        self._free.acquire()
        self._require_success()
        write_planned(self.folder, shard, results)
        # Ctrl-C does not wait for it: nothing half sent looks whole.
        thread = Thread(target=self._send, args=(shard,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _send(self, shard: ShardPlan) -> None:
        try:
            self.claim.require()
            send_shard(self.out, self.folder, shard, self.layout)
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._free.release()

    def _require_success(self) -> None:
        if self._failure:
            raise self._failure

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None or issubclass(kind, Exception):
            for thread in self._threads:
                thread.join()
        if kind is None:
            self._require_success()
