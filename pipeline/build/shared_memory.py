"""Shared memory in equal parts, in which a build's workers hand over records.

A pipe would copy every record several times, which costs a `raw` one a fifth of what
making it does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import FileIO
from mmap import mmap
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple, TypeAlias

from alexnet.pipeline.errors import ReadError
from alexnet.pipeline.records.encode import Encoded

# Why an image file has no record: its fault, or what keeps it from being read.
NoRecord: TypeAlias = "str | ReadError"


class Told(NamedTuple):
    """An Encoded; of its record the length, when it lies in a slot."""

    record: int | bytes
    digest: bytes
    width: int
    height: int


class Slots:
    """Memory shared with the processes that are given it when they start.

    It is no file in /dev/shm, which containers keep small, and it has no name that
    could be left behind: it goes with the last process that has it. Where there is
    none, no record finds room.
    """

    def __init__(self, file: FileIO | None, slot_bytes: int) -> None:
        self.file = file
        self.memory = mmap(file.fileno(), 0) if file else b""
        self.slot_bytes = slot_bytes

    @classmethod
    def make(cls, count: int, slot_bytes: int) -> Slots:
        """Memory for `count` slots, or none."""
        try:
            file = FileIO(os.memfd_create("slots"), "r+")
            file.truncate(count * slot_bytes)
            return cls(file, slot_bytes)
        except (OSError, AttributeError):  # memfd_create is Linux's own
            return cls(None, 0)

    def __reduce__(self) -> tuple[object, ...]:
        number = DupFd(self.file.fileno()) if self.file else None
        return _given, (number, self.slot_bytes)

    def put(
        self, slot: int, results: Iterable[Encoded | NoRecord]
    ) -> list[Told | NoRecord]:
        """Lay records into a slot, one after another; returns what is to be told.

        A record that finds no room is told itself, and so is why there is none.
        """
        room = memoryview(self.memory).cast("B")[: (slot + 1) * self.slot_bytes]
        told: list[Told | NoRecord] = []
        start = slot * self.slot_bytes
        for result in results:
            if not isinstance(result, Encoded):
                told.append(result)
                continue
            size = len(result.record)
            if start + size > len(room):
                told.append(Told(*result))
                continue
            room[start : start + size] = result.record
            told.append(Told(size, *result[1:]))
            start += size
        return told

    def take(
        self, slot: int, told: Iterable[Told | Encoded | NoRecord]
    ) -> Iterator[Encoded | NoRecord]:
        """What was given to `put`; the slot may be used again once all are taken."""
        room = memoryview(self.memory).cast("B")
        start = slot * self.slot_bytes
        for one in told:
            if not isinstance(one, Told):
                yield one
            elif isinstance(one.record, bytes):
                yield Encoded(one.record, *one[1:])
            else:
                stop = start + one.record
                yield Encoded(bytes(room[start:stop]), *one[1:])
                start = stop


def _given(number: Any, slot_bytes: int) -> Slots:
    """The slots in a process that is given them."""
    file = FileIO(number.detach(), "r+") if number else None
    return Slots(file, slot_bytes)
