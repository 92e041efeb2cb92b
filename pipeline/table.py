"""A table on the disk: its rows take next to no memory, however many they are.

It lies in a temporary file without a name, of which nothing is left however the process
ends; the last rows, less than a chunk, wait in memory. Beside it is a sort of as many.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from typing import Any, TypeAlias, TypeVar, overload
from weakref import finalize

from alexnet.pipeline.errors import DataError

# Rows that are written and read at once: one costs 30 us to find.
CHUNK_ROWS = 128
# Rows that are sorted in memory: some 300 bytes each.
RUN_ROWS = 2**17
# Texts, numbers, bytes and None.
Row: TypeAlias = "tuple[Any, ...]"
Item = TypeVar("Item")


class Table:
    """Rows that are added at the end, and read by their places."""

    def __init__(self) -> None:
        with _disk_faults_told():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        finalize(self, self._file.close)
        # Where chunks begin in the file; the last one would begin at its end.
        self._starts = array("Q", [0])
        self._waiting: list[Row] = []

    def __len__(self) -> int:
        return (len(self._starts) - 1) * CHUNK_ROWS + len(self._waiting)

    def append(self, row: Row) -> None:
        """Add a row.

        Raises:
            DataError: the disk has no room for it.
        """
        self._waiting.append(row)
        if len(self._waiting) == CHUNK_ROWS:
            self._write_chunk()

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows.

        Raises:
            DataError: the disk has no room for them.
        """
        for row in rows:
            self.append(row)

    def _write_chunk(self) -> None:
        data = marshal.dumps([*map(tuple, self._waiting)])
        start, stop = self._starts[-1], self._starts[-1] + len(data)
        with _disk_faults_told():
            while start < stop:
                start += os.write(self._file.fileno(), data[start - stop :])
        self._starts.append(stop)
        self._waiting = []

    def read(self, start: int, stop: int) -> Iterator[Row]:
        """Yield the rows from one place up to another; any thread may ask."""
        while start < stop:
            chunk, place = divmod(start, CHUNK_ROWS)
            rows = self._read_chunk(chunk)[place : place + stop - start]
            yield from rows
            start += len(rows)

    def _read_chunk(self, chunk: int) -> list[Row]:
        if chunk == len(self._starts) - 1:
            return self._waiting
        start, stop = self._starts[chunk : chunk + 2]
        with _disk_faults_told():
            data = os.pread(self._file.fileno(), stop - start, start)
        rows: list[Row] = marshal.loads(data)
        return rows


@contextmanager
def _disk_faults_told() -> Iterator[None]:
    """Say what to do where a temporary file cannot be written or read."""
    try:
        yield
    except OSError as error:
        # None where no folder takes a file.
        folder = tempfile.tempdir or "a temporary file"
        raise DataError(
            f"the list of files cannot be kept in {folder}: {error.strerror}."
            " Free some room there, or name a folder on another disk in the variable"
            " TMPDIR."
        ) from error


class Rows(Sequence[Item]):
    """Rows of a table as what they stand for, made anew whenever they are read.

    Args:
        table: one to which nothing is added any more.
        make: makes a row's columns what it stands for.
        places: the rows to take; None: all.
    """

    def __init__(
        self, table: Table, make: Callable[..., Item], places: range | None = None
    ) -> None:
        self._table, self._make = table, make
        self._places = range(len(table)) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Rows[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | Rows[Item]:
        if isinstance(place, slice):
            return Rows(self._table, self._make, self._places[place])
        number = self._places[place]
        (row,) = self._table.read(number, number + 1)
        return self._make(*row)

    def __iter__(self) -> Iterator[Item]:
        if self._places.step != 1:
            yield from map(self.__getitem__, range(len(self)))
            return
        for row in self._table.read(self._places.start, self._places.stop):
            yield self._make(*row)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(mine == its for mine, its in zip(self, other, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)  # the table stays in its process


def sorted_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Take in all rows and yield them in their order; many are sorted on the disk.

    Raises:
        DataError: the disk has no room for them.
    """
    rows, table, runs = iter(rows), Table(), list[Iterator[Row]]()
    while len(run := sorted(islice(rows, RUN_ROWS))) == RUN_ROWS:
        start = len(table)
        table.extend(run)
        runs.append(table.read(start, len(table)))
        run.clear()  # before the next one is in memory
    return merge(*runs, run)
