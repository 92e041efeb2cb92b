"""The store of a zip: its members, read where they are."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL
from threading import Lock
from typing import cast

from alexnet.pipeline.errors import DataError, ReadError
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.remote.read_ahead import ReadAhead
from alexnet.pipeline.remote.remote_file import RemoteFile
from alexnet.pipeline.remote.transfer import fetch_range
from alexnet.pipeline.source.members import (
    COPY_AGAIN,
    ArchiveStore,
    Member,
)
from alexnet.pipeline.source.stores import (
    MAX_FILE_BYTES,
    NO_FILE,
    require_photo_size,
)

# Bits of a zip member's flags (PKWARE's APPNOTE.TXT, 4.4.4).
ENCRYPTED, UTF8_NAME = 0x1, 0x800
# Those that can be read up to a given size; zipfile's others inflate without bound.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Local headers have extra fields of their own, a little longer than the table's.
SPARE_BYTES = 64
# A remote file keeps one range, of which threads would rob one another.
REMOTE_TURN = Lock()
UNPACK = "Unpack the archive and give that folder."


class ZipStore(ArchiveStore):
    """Members of a zip file; of a remote one, only they are fetched."""

    _zip: zipfile.ZipFile | None = None
    _ahead: ReadAhead | None = None

    def _members(self) -> Iterator[Member]:
        with _open_zip(self.path, self.shown) as archive:
            members = archive.infolist()
        for info in members:
            name = _zip_name(info)
            if name.endswith("/"):
                continue
            if info.flag_bits & ENCRYPTED:
                raise DataError(f"{self.shown}: {name!r} is encrypted. {UNPACK}")
            if info.compress_type not in COMPRESSIONS:
                raise DataError(
                    f"{self.shown}: {name!r} is compressed by method"
                    f" {info.compress_type}; stored and deflated members can be read."
                    f" {UNPACK}"
                )
            kind = stat.S_IFMT(info.external_attr >> 16)
            fault = "" if kind in (0, stat.S_IFREG) else NO_FILE
            yield Member(name, info.file_size, info.filename, fault)

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        archive = self._opened()
        info = archive.getinfo(self._member_place(key))
        try:
            ahead = b""
            if num_bytes < 0:
                require_photo_size(info.file_size)
                num_bytes = info.file_size  # it may inflate to more
                ahead = self._ahead.take(key) if self._ahead else ahead
            with (
                _at_hand(archive.fp, info.header_offset, ahead),
                archive.open(info) as file,
            ):
                return file.read(num_bytes)
        except (MemoryError, ReadError):
            raise
        except Exception as error:  # zipfile raises whatever a damaged member causes
            if isinstance(error, OSError) and error.errno not in (None, EINVAL):
                self._zip = None  # a file that has gone stale is opened again
                raise
            # EINVAL: a place before the archive's first byte.
            raise OSError(str(error) or "the archive ends within it") from error

    def expect(self, keys: Iterable[str]) -> None:
        if isinstance(self.path, Location):
            self._opened()  # once, before many threads ask for it
            self._ahead = self._ahead or ReadAhead(self._fetch_member)
            self._ahead.expect(keys)

    def _fetch_member(self, key: str) -> bytes:
        """Return a member with the header before it, as it stands in the archive."""
        name = self._member_place(key)
        info = self._opened().getinfo(name)
        head = 30 + len(name.encode()) + len(info.extra) + SPARE_BYTES
        size = min(info.compress_size, MAX_FILE_BYTES)
        return fetch_range(cast(Location, self.path), info.header_offset, head + size)

    def _opened(self) -> zipfile.ZipFile:
        self._zip = self._zip or _open_zip(self.path, self.shown)
        return self._zip

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_zip": None, "_ahead": None}


@contextmanager
def _at_hand(file: object, start: int, ahead: bytes) -> Iterator[None]:
    """Have what was read ahead where a remote archive looks for it, one at a time."""
    if not isinstance(file, RemoteFile):
        yield
        return
    with REMOTE_TURN:
        if ahead:
            file.keep(start, ahead)
        yield


def _open_zip(path: Place, shown: Place) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(RemoteFile(path) if isinstance(path, Location) else path)
    except (OSError, ReadError):
        raise
    except Exception as error:  # and whatever a damaged table of contents does
        raise DataError(f"{shown} is a damaged zip ({error}). {COPY_AGAIN}") from error


def _zip_name(info: zipfile.ZipInfo) -> str:
    r"""Return a member's name, though a Mac did not mark UTF-8 or Windows wrote \."""
    name = info.filename
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):  # it is the CP437 that it was read as
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")
