"""A folder of files that were fetched from stores, kept under a limit.

Each set of files has a folder of its own in it. A file has its name when it is whole.
To make room, what was used longest ago goes first; what a live process holds stays. All
of this is told by locks, which the system takes back from a process that is killed: any
number of processes share a cache, and fetch nothing twice.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import (
    cache_home,
    fingerprint,
    format_bytes,
    partial_path,
)
from alexnet.pipeline.lock import clear_if_free, in_turn
from alexnet.pipeline.remote.held import (
    Held,
    evict,
    hold_whole,
    is_whole,
    statuses,
)
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.transfer import fetch_file

# Below the folder that a user names, which may hold other things.
SETS = "remote-records"
# Beside a file: locked by whoever fetches it, and as large as that will be.
FETCHING = ".fetching"
# Of a disk, without a limit: for others.
LEFT_SHARE = 0.1
# Others may give up what they hold meanwhile.
ROOM_SECONDS, POLL_SECONDS = 60.0, 0.2


@dataclass(frozen=True)
class CachedFile:
    """A file in a cache, or the room that is reserved for one."""

    path: Path
    num_bytes: int
    used_ns: int


@dataclass(frozen=True)
class Cache:
    """A folder for files of stores, and how many bytes of them it may hold."""

    folder: Path
    limit_bytes: int

    @property
    def room_bytes(self) -> int:
        """The most that it could hold, were all else in it to go."""
        return min(self.limit_bytes, self._held_bytes + self._free_bytes)

    @property
    def _held_bytes(self) -> int:
        return sum(file.num_bytes for file in self._files())

    @property
    def _free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    def home(self, source: Location) -> Path:
        """Return the folder of what is fetched from an address."""
        name = fingerprint(str(source))[:12]
        return self.folder / SETS / f"{source.name or source.protocol}-{name}"

    def hold(
        self,
        source: Location,
        target: Path,
        num_bytes: int,
        crc32c: int,
        arrived: Callable[[], None] = lambda: None,
    ) -> Held:
        """Fetch a file unless it is there, and keep it there for as long as it is held.

        Args:
            target: its place in the cache, in a folder below a `home`.
            arrived: is called when this process has fetched it.

        Raises:
            DataError: it is not in the store, or there is no room for it.
            RemoteError: the store fails for long, or its file is another.
        """
        while (held := hold_whole(target, num_bytes)) is None:
            with in_turn(_reservation(target)):
                if not is_whole(target, num_bytes):
                    self._fetch(source, target, num_bytes, crc32c)
                    arrived()
        with suppress(OSError):  # a cache that may only be read
            os.utime(target, ns=(time.time_ns(), target.stat().st_mtime_ns))
        return held

    def _fetch(
        self, source: Location, target: Path, num_bytes: int, crc32c: int
    ) -> None:
        """Fetch a file, and say what to do where that fails.

        Raises:
            DataError: it is not in the store, there is no room, or the disk is full.
            RemoteError: the store fails for long, or its file is another.
        """
        try:
            self._reserve(target, num_bytes)
            fetch_file(source, target, num_bytes, crc32c)
        except OSError as error:
            place = error.filename or target
            raise DataError(
                f"{source} could not be fetched into the cache: {place}:"
                f" {error.strerror}. What is there is kept; run the same command again"
                " to go on."
            ) from error

    def _reserve(self, target: Path, num_bytes: int) -> None:
        """Set room aside, for which files go that were used longest ago.

        Raises:
            DataError: what is held, or the disk, leaves none.
        """
        until = time.monotonic() + ROOM_SECONDS
        while missing := self._lacking(target, num_bytes):
            if time.monotonic() > until:
                raise DataError(
                    f"the cache {self.folder} has no room for {target.name}:"
                    f" {format_bytes(missing)} are lacking. Running processes use what"
                    f" is in it, its limit is {format_bytes(self.limit_bytes)}, and its"
                    f" disk has {format_bytes(self._free_bytes)} free. Choose a larger"
                    " `cache_limit_bytes`, free some, or choose another `cache`."
                )
            time.sleep(POLL_SECONDS)

    def _lacking(self, target: Path, num_bytes: int) -> int:
        """Make room for a file and reserve it; return the bytes that lack for that."""
        with in_turn(self.folder / SETS / ".lock"):
            reserved, files = self._reservations(), self._files()
            # What is being fetched will take its room of the disk.
            promised = sum(file.num_bytes for file in reserved)
            held = sum(file.num_bytes for file in files)
            room = min(self.limit_bytes - held, self._free_bytes) - promised
            lacking = num_bytes - room
            for file in sorted(files, key=lambda file: file.used_ns):
                if lacking <= 0:
                    break
                if evict(file.path):
                    lacking -= file.num_bytes
            if lacking <= 0:
                os.truncate(_reservation(target), num_bytes)
            return max(lacking, 0)

    def _files(self) -> list[CachedFile]:
        return [
            CachedFile(path, status.st_size, status.st_atime_ns)
            for path in self._glob("[!.]*.tfrecord")
            for status in statuses(path)
        ]

    def _reservations(self) -> list[CachedFile]:
        """Return what is being fetched; delete what killed processes left behind."""
        reserved = []
        for path in self._glob(f".*{FETCHING}"):
            if not clear_if_free(path, partial_path(_target(path))):
                reserved += [CachedFile(path, s.st_size, 0) for s in statuses(path)]
        return reserved

    def _glob(self, names: str) -> Iterator[Path]:
        return (self.folder / SETS).glob(f"*/*/{names}")


def open_cache(folder: str | os.PathLike[str] | None, limit_bytes: int | None) -> Cache:
    """Return the cache in a folder, by default in the user's cache folder.

    Without a limit it takes what its disk has free, but for a tenth of the disk.

    Raises:
        DataError: the folder cannot be made.
    """
    place = Path(folder).absolute() if folder else cache_home() / "alexnet"
    try:
        (place / SETS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the cache {place} cannot be made: {error.strerror}. Choose another"
            " `cache`."
        ) from error
    if limit_bytes is None:
        left = int(LEFT_SHARE * shutil.disk_usage(place).total)
        limit_bytes = max(0, Cache(place, sys.maxsize).room_bytes - left)
    return Cache(place, limit_bytes)


def _reservation(target: Path) -> Path:
    return target.with_name(f".{target.name}{FETCHING}")


def _target(reservation: Path) -> Path:
    return reservation.with_name(reservation.name[1:].removesuffix(FETCHING))
