"""Where a source's bytes come from: a folder, a zip, or a tar.

A store lists its files and reads one by key; it can be pickled, so that every worker
process opens the archive for itself.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from pipeline.errors import DataError

# What zipfile raises for a member that is absent, encrypted, cut or damaged.
UNREADABLE_MEMBER = (KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


class Entry(NamedTuple):
    """One file of a store: posix path relative to the store, size in bytes."""

    key: str
    size_bytes: int


class Store(Protocol):
    """A place that holds files."""

    def entries(self) -> list[Entry]:
        """Every file, sorted by key; hidden ones are left out."""

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        """A file's bytes, or its first `num_bytes`.

        Raises:
            OSError: the file cannot be read.
        """


def open_store(path: Path) -> Store:
    """The store at `path`, by what it is.

    Raises:
        DataError: there is nothing there, or nothing that can be read.
    """
    if path.is_dir():
        return FolderStore(path)
    if not path.exists():
        kind = "file" if path.suffix else "folder"
        raise DataError(
            f"no such {kind}: {path}. Expected a folder of class folders, a flat folder"
            " of names like cat.0.jpg, a CSV with filename,label, or a zip or tar of"
            " one of these."
        )
    if zipfile.is_zipfile(path):
        return ZipStore(path)
    if tarfile.is_tarfile(path):
        return TarStore(path)
    raise DataError(f"{path} is neither a folder, a CSV, a zip nor a tar")


class FolderStore:
    """Files below a folder; links to folders are followed once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self) -> list[Entry]:
        return sorted(self._walk(self.root, "", set()))

    def _walk(self, folder: Path, prefix: str, seen: set[str]) -> Iterator[Entry]:
        real = os.path.realpath(folder)
        if real in seen:  # a loop of links
            return
        seen.add(real)
        with os.scandir(folder) as found:
            for item in found:
                key = prefix + item.name
                if item.name.startswith("."):
                    continue
                if item.is_dir():
                    yield from self._walk(folder / item.name, key + "/", seen)
                else:
                    yield Entry(key, _size_bytes(item))

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        path = self.root / key
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for ever
            raise OSError("not a regular file")
        with path.open("rb") as file:
            return file.read(num_bytes)


def _size_bytes(item: os.DirEntry[str]) -> int:
    try:
        return item.stat().st_size
    except OSError:  # a dangling link: reading it will say so
        return 0


class ZipStore:
    """Members of a zip file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._prefix = ""

    def entries(self) -> list[Entry]:
        with zipfile.ZipFile(self.path) as archive:
            members = {
                info.filename: info.file_size
                for info in archive.infolist()
                if not info.is_dir()
            }
        self._prefix = common_folder(members)
        return visible(members, self._prefix)

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        self._zip = self._zip or zipfile.ZipFile(self.path)
        try:
            with self._zip.open(self._prefix + key) as file:
                return file.read(num_bytes)
        except UNREADABLE_MEMBER as error:
            raise OSError(str(error)) from error

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_zip": None}


class TarStore:
    """Members of an uncompressed tar, read in any order by their offsets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._prefix = ""
        self._places: dict[str, tuple[int, int]] = {}

    def entries(self) -> list[Entry]:
        try:
            with tarfile.open(self.path, "r:") as archive:
                # `tar cf photos.tar .` names its members ./cat/1.jpg.
                self._places = {
                    member.name.removeprefix("./"): (member.offset_data, member.size)
                    for member in archive
                    if member.isreg()
                }
        except tarfile.ReadError as error:
            raise DataError(
                f"{self.path} cannot be read as an uncompressed tar ({error}). Unpack"
                " it, or decompress it first: only a plain tar is read in any order."
            ) from error
        sizes = {name: size for name, (_, size) in self._places.items()}
        self._prefix = common_folder(sizes)
        return visible(sizes, self._prefix)

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        place = self._places.get(self._prefix + key)
        if place is None:
            raise OSError(f"{self.path.name} has no such file")
        offset, size = place
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size if num_bytes < 0 else min(size, num_bytes))


def common_folder(names: dict[str, int]) -> str:
    """The one folder all members lie in, as 'train/'; '' when there is none.

    Archives are made of a folder as often as of its contents; both give the same keys.
    A lone class folder, whose files lie directly in it, is kept when neither their
    names carry a label of their own nor a table beside them does.
    """
    tops = {name.partition("/")[0] for name in names if not is_hidden(name)}
    if len(tops) != 1 or any("/" not in name for name in names if not is_hidden(name)):
        return ""
    (top,) = tops
    inside = [name.partition("/")[2] for name in names if not is_hidden(name)]
    flat = all("/" not in name for name in inside)
    table = any(name.endswith(".csv") for name in inside)
    named = all(len(PurePosixPath(name).suffixes) >= 2 for name in inside)
    if flat and not table and not named:
        return ""
    return top + "/"


def is_hidden(name: str) -> bool:
    """Whether a path has a part like .DS_Store or __MACOSX."""
    return any(part[:1] == "." or part == "__MACOSX" for part in name.split("/"))


def visible(members: dict[str, int], prefix: str) -> list[Entry]:
    """The members that count, sorted, with keys relative to `prefix`."""
    return sorted(
        Entry(name[len(prefix) :], size)
        for name, size in members.items()
        if not is_hidden(name)
    )
