"""Shards on their way from a store, fetched ahead in the order of their reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import PurePath
from threading import Lock, Thread
from typing import Any

from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.remote.cache import Held

# Fetched at a time, before they are waited for.
AHEAD = 6


class Arrivals:
    """The shards of a split as one reader takes them, and gives them back when read.

    What is waited for, or was taken, stays in the cache. Threads that fetch hold
    nothing of this: of what is dropped, no more than `AHEAD` shards still arrive.
    """

    def __init__(self, hold: Callable[[Shard], Held], shards: Sequence[Shard]) -> None:
        """Take the shards in the order of the split.

        Args:
            hold: fetches a shard that is not there, and keeps it.
        """
        self._hold, self._shards = hold, shards
        self._lock = Lock()
        self._ahead: dict[str, Future[Held]] = {}
        self._taken: dict[str, list[Held]] = {}
        self.expect(range(len(shards)))

    def expect(self, order: Any) -> None:
        """Hear in which order the shards will be taken; their numbers, int [shards]."""
        shards = [self._shards[int(number)] for number in order]
        with self._lock:
            self._order = shards
            self._places = {shard.name: place for place, shard in enumerate(shards)}
            self._ahead.clear()
            # Of an epoch that was left before its end.
            self._taken.clear()

    def take(self, path: bytes | str) -> None:
        """Wait for a shard, told by its path in the cache.

        Raises:
            DataError: it cannot be had.
        """
        name = _name(path)
        with self._lock:
            place = self._places[name]
            for shard in self._order[place : place + 1 + AHEAD]:
                if shard.name not in self._ahead:
                    self._ahead[shard.name] = _start(self._hold, shard)
            arriving = self._ahead.pop(name)
        held = arriving.result()
        with self._lock:
            self._taken.setdefault(name, []).append(held)

    def give_back(self, path: bytes | str) -> None:
        """Let go of a shard that was taken."""
        with self._lock:
            if taken := self._taken.get(_name(path)):
                taken.pop().release()


def _start(hold: Callable[[Shard], Held], shard: Shard) -> Future[Held]:
    arriving: Future[Held] = Future()
    # A process that ends waits for no transfer.
    Thread(target=_fetch, args=(hold, shard, arriving), daemon=True).start()
    return arriving


def _fetch(hold: Callable[[Shard], Held], shard: Shard, arriving: Future[Held]) -> None:
    try:
        arriving.set_result(hold(shard))
    except BaseException as error:  # it is the reader's, whose thread is another
        arriving.set_exception(error)


def _name(path: bytes | str) -> str:
    text = path.decode() if isinstance(path, bytes) else path
    return PurePath(text).name
