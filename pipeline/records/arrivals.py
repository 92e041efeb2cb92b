"""Shards on their way from a store, fetched ahead in the order of their reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

from alexnet.pipeline.background import Background
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.remote.held import Held

# Fetched at a time, before they are waited for.
AHEAD = 6


class Arrivals:
    """The shards of a split as one reader takes them, and gives them back when read.

    What is waited for, or was taken, stays in the cache. Threads that fetch hold
    nothing of this: of what is dropped, no more than `AHEAD` shards still arrive.

    There is no lock, for the reason that `Background` has: two iterators that take one
    shard at a time may both ask the cache for it, which fetches it once.
    """

    def __init__(self, hold: Callable[[Shard], Held], shards: Sequence[Shard]) -> None:
        """Take the shards in the order of the split.

        Args:
            hold: fetches a shard that is not there, and keeps it.
        """
        self._hold, self._shards = hold, shards
        self.expect(range(len(shards)))

    def expect(self, order: Any) -> None:
        """Hear in which order the shards will be taken; their numbers, int [shards]."""
        self._order = [self._shards[int(number)] for number in order]
        self._places = {shard.name: place for place, shard in enumerate(self._order)}
        self._ahead: dict[str, Background[Held]] = {}
        # Those of an epoch that was left before its end go with it.
        self._taken: dict[str, list[Held]] = {}

    def take(self, path: bytes | str) -> None:
        """Wait for a shard, told by its path in the cache.

        Raises:
            DataError: it cannot be had.
        """
        while not self.try_take(path):
            pass

    def try_take(self, path: bytes | str) -> bool:
        """Take a shard if it is here, or comes within a moment; tell whether it did.

        Raises:
            DataError: it cannot be had.
        """
        name, ahead = _name(path), self._ahead
        place = self._places[name]
        for shard in self._order[place : place + 1 + AHEAD]:
            if shard.name not in ahead:
                ahead[shard.name] = Background(partial(self._hold, shard))
        arriving = ahead[name]
        if not arriving.has_ended():
            return False
        del ahead[name]
        self._taken.setdefault(name, []).append(arriving.result())
        return True

    def give_back(self, path: bytes | str) -> None:
        """Let go of a shard that was taken."""
        if taken := self._taken.get(_name(path)):
            taken.pop().release()


def _name(path: bytes | str) -> str:
    text = path.decode() if isinstance(path, bytes) else path
    return PurePath(text).name
