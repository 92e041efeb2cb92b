"""Open a source as what it is: a folder, a zip or a tar.

Archives are read where they are and never unpacked. One that is damaged or encrypted is
refused; a damaged member costs that photo alone.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from errno import EINVAL, EIO
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import require_local
from alexnet.pipeline.source.members import (
    COPY_AGAIN,
    ArchiveStore,
    Member,
    list_members,
)
from alexnet.pipeline.source.stores import (
    NO_FILE,
    FolderStore,
    Listing,
    Store,
    require_photo_size,
)

# The beginnings of gzip, bzip2, xz and Zstandard files.
COMPRESSED_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
# Bits of a zip member's flags (PKWARE's APPNOTE.TXT, 4.4.4).
ENCRYPTED, UTF8_NAME = 0x1, 0x800
# Those that can be read up to a given size; zipfile's others inflate without bound.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNPACK = "Unpack the archive and give that folder."


def open_store(path: Path) -> Store:
    """Return the store at `path`.

    Raises:
        DataError: there is nothing there, or nothing that can be read.
    """
    require_local(path)
    if path.is_dir():
        return FolderStore(path)
    if not path.exists():
        kind = "file" if path.suffix else "folder"
        raise DataError(
            f"no such {kind}: {path}. Expected a folder of class folders, a flat folder"
            " of names like cat.0.jpg, a CSV with filename,label, or a zip or tar of"
            " one of these."
        )
    if path.is_file():  # opening a pipe would wait for ever
        return open_archive(path)
    raise DataError(f"{path} is neither a folder nor a file")


def is_archive(path: Path) -> bool:
    """Tell a zip or tar by its content; a picture may have one at its end."""
    with path.open("rb") as file:
        head = file.read(4)
    return head == b"PK\3\4" or tarfile.is_tarfile(path)


def open_archive(path: Path) -> Store:
    """Return the store of the zip or tar at `path`.

    Raises:
        DataError: it is neither, or cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(COMPRESSED_MAGIC):
        raise DataError(
            f"{path} is compressed, and only a plain tar can be read in any order."
            " Unpack it, or decompress it first."
        )
    # First, because a tar whose last member is a zip would pass for that.
    if tarfile.is_tarfile(path):
        return TarStore(path)
    if zipfile.is_zipfile(path):
        return ZipStore(path)
    if head.startswith(b"PK\3\4"):
        raise DataError(
            f"{path} is cut short: it begins as a zip and lacks the table of contents"
            f" at the end. {COPY_AGAIN}"
        )
    raise DataError(f"{path} is neither a folder, a CSV, a zip nor a tar")


class TarStore(ArchiveStore):
    """Members of an uncompressed tar, read in any order by their offsets."""

    def listing(self) -> Listing:
        try:
            with tarfile.open(self.path, "r:") as archive:
                listing, self._places = list_members(_tar_members(archive))
                self._require_end(archive.offset)
        except (OSError, DataError):
            raise
        except Exception as error:  # tarfile raises whatever a damaged header causes
            raise self._damaged(error) from error
        return listing

    def _require_end(self, offset: int) -> None:
        """Check for zeros behind the last member.

        A header that tarfile cannot read is the end for it.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise self._damaged(f"byte {offset} is neither a member nor the end")

    def _damaged(self, why: object) -> DataError:
        return DataError(f"{self.path} is cut or damaged ({why}). {COPY_AGAIN}")

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        offset, size = self._member_place(key)
        if num_bytes < 0:
            require_photo_size(size)
            num_bytes = size
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(min(size, num_bytes))
        if len(data) < min(size, num_bytes):
            raise OSError(EIO, "the archive was longer when it was listed")
        return data


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    """Yield the members but folders; a hard link as the file that it names."""
    members: dict[str, Member] = {}
    for info in archive:
        if info.isdir():
            continue
        fault = "" if info.isreg() and not info.issparse() else NO_FILE
        member = Member(info.name, info.size, (info.offset_data, info.size), fault)
        if info.islnk() and info.linkname in members:
            member = members[info.linkname]._replace(name=info.name)
        members[info.name] = member
        yield member


class ZipStore(ArchiveStore):
    """Members of a zip file."""

    _zip: zipfile.ZipFile | None = None

    def listing(self) -> Listing:
        with _open_zip(self.path) as archive:
            listing, self._places = list_members(self._members(archive))
        return listing

    def _members(self, archive: zipfile.ZipFile) -> Iterator[Member]:
        for info in archive.infolist():
            name = _zip_name(info)
            if name.endswith("/"):
                continue
            if info.flag_bits & ENCRYPTED:
                raise DataError(f"{self.path}: {name!r} is encrypted. {UNPACK}")
            if info.compress_type not in COMPRESSIONS:
                raise DataError(
                    f"{self.path}: {name!r} is compressed by method"
                    f" {info.compress_type}; stored and deflated members can be read."
                    f" {UNPACK}"
                )
            kind = stat.S_IFMT(info.external_attr >> 16)
            fault = "" if kind in (0, stat.S_IFREG) else NO_FILE
            yield Member(name, info.file_size, info.filename, fault)

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        name = self._member_place(key)
        archive = self._zip = self._zip or _open_zip(self.path)
        info = archive.getinfo(name)
        if num_bytes < 0:
            require_photo_size(info.file_size)
            num_bytes = info.file_size  # it may inflate to more
        try:
            with archive.open(info) as file:
                return file.read(num_bytes)
        except MemoryError:
            raise
        except Exception as error:  # zipfile raises whatever a damaged member causes
            if isinstance(error, OSError) and error.errno not in (None, EINVAL):
                self._zip = None  # a file that has gone stale is opened again
                raise
            # EINVAL: a place before the archive's first byte.
            raise OSError(str(error) or "the archive ends within it") from error

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_zip": None}


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # and whatever a damaged table of contents does
        raise DataError(f"{path} is a damaged zip ({error}). {COPY_AGAIN}") from error


def _zip_name(info: zipfile.ZipInfo) -> str:
    r"""Return a member's name, though a Mac did not mark UTF-8 or Windows wrote \."""
    name = info.filename
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):  # it is the CP437 that it was read as
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")
