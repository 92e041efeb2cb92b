"""Zips and tars of photos, read where they are and never unpacked.

One that is damaged or encrypted is refused; a member that is costs that photo alone.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from errno import EINVAL, EIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.stores import (
    NO_FILE,
    SYSTEM_FOLDER,
    SYSTEM_FOLDERS,
    Entry,
    Listing,
    Store,
    printable,
    require_photo_size,
)

# How gzip, bzip2, xz and Zstandard files begin.
COMPRESSED_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
# Bits of a zip member's flags (PKWARE's APPNOTE.TXT, 4.4.4).
ENCRYPTED, UTF8_NAME = 0x1, 0x800
# Those that can be read up to a given size; zipfile's others inflate without bound.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNPACK = "Unpack the archive and give that folder."
COPY_AGAIN = "Copy or download it again, or unpack what can be and give that folder."


def is_archive(path: Path) -> bool:
    """Tell a zip or tar by its content; a picture may have one at its end."""
    with path.open("rb") as file:
        head = file.read(4)
    return head == b"PK\3\4" or tarfile.is_tarfile(path)


def open_archive(path: Path) -> Store:
    """The store of the zip or tar at `path`.

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


class ZipStore:
    """Members of a zip file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._names: dict[str, str] = {}

    def listing(self) -> Listing:
        with _open_zip(self.path) as archive:
            listing, self._names = list_members(self._members(archive))
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
        if key not in self._names:
            raise OSError(f"{self.path.name} has no such file")
        archive = self._zip = self._zip or _open_zip(self.path)
        info = archive.getinfo(self._names[key])
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

    def exists(self) -> bool:
        return self.path.exists()

    def place(self, key: str) -> str:
        return printable(f"{self.path}/{key}")

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
    r"""A member's name, also where a Mac did not mark UTF-8 or Windows wrote \."""
    name = info.filename
    if not info.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):  # it is the CP437 that it was read as
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


class TarStore:
    """Members of an uncompressed tar, read in any order by their offsets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, tuple[int, int]] = {}

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
        place = self._places.get(key)
        if place is None:
            raise OSError(f"{self.path.name} has no such file")
        offset, size = place
        if num_bytes < 0:
            require_photo_size(size)
            num_bytes = size
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(min(size, num_bytes))
        if len(data) < min(size, num_bytes):
            raise OSError(EIO, "the archive was longer when it was listed")
        return data

    def exists(self) -> bool:
        return self.path.exists()

    def place(self, key: str) -> str:
        return printable(f"{self.path}/{key}")


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    """The members but for folders; a hard link is the file that it names."""
    seen: dict[str, Member] = {}
    for info in archive:
        if info.isdir():
            continue
        fault = "" if info.isreg() and not info.issparse() else NO_FILE
        member = Member(info.name, info.size, (info.offset_data, info.size), fault)
        if info.islnk() and info.linkname in seen:
            member = seen[info.linkname]._replace(name=info.name)
        seen[info.name] = member
        yield member


class Member(NamedTuple):
    """One member of an archive: where it is to be read, or why it is not."""

    name: str
    size_bytes: int
    place: Any
    fault: str


def list_members(members: Iterable[Member]) -> tuple[Listing, dict[str, Any]]:
    """What an archive holds, and the place of every key.

    Of members of one name the last one counts, as when an archive is unpacked.
    """
    kept: dict[str, Member] = {}
    left_out, system_folders = [], set()
    for member in members:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        key = "/".join(parts)
        leads_out = member.name.startswith("/") or ".." in parts
        if not leads_out and is_hidden(key):
            continue
        if not leads_out and (system := system_folder(key)):
            system_folders.add(system)
            continue
        if fault := "leads out of the archive" if leads_out else member.fault:
            left_out.append(f"{member.name} ({fault})")
            continue
        if key in kept:
            left_out.append(f"{member.name} (there again: the last one counts)")
        kept[key] = member
    left_out += [f"{folder} ({SYSTEM_FOLDER})" for folder in system_folders]
    start = len(common_folder(kept))
    files = sorted(Entry(key[start:], one.size_bytes) for key, one in kept.items())
    places = {key[start:]: one.place for key, one in kept.items()}
    return Listing(files, sorted(left_out)), places


def common_folder(names: Iterable[str]) -> str:
    """The one folder all members lie in, as 'train/'; '' when there is none.

    Archives are made of a folder as often as of its contents; both give the same keys.
    A lone class folder, whose files lie directly in it, is kept when neither their
    names carry a label of their own nor a table beside them does.
    """
    names = list(names)
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or any("/" not in name for name in names):
        return ""
    (top,) = tops
    inside = [name.partition("/")[2] for name in names]
    flat = all("/" not in name for name in inside)
    table = any(name.lower().endswith((".csv", ".tsv")) for name in inside)
    named = all(len(PurePosixPath(name).suffixes) >= 2 for name in inside)
    if flat and not table and not named:
        return ""
    return top + "/"


def is_hidden(name: str) -> bool:
    """Whether a path has a part like .DS_Store or __MACOSX."""
    return any(part[:1] == "." or part == "__MACOSX" for part in name.split("/"))


def system_folder(name: str) -> str | None:
    """Return the first folder on a path that is the system's; None without one."""
    parts = name.split("/")[:-1]
    for depth, part in enumerate(parts, 1):
        if part in SYSTEM_FOLDERS:
            return "/".join(parts[:depth]) + "/"
    return None
