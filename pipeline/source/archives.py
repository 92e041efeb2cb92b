"""Open a source as what it is: a folder, a zip or a tar, or what lies beside a table.

Archives are read where they are and never unpacked. One that is damaged or encrypted is
refused; a damaged member costs that photo alone. Of a remote zip the members are
fetched; a remote tar, which has no table of contents, is fetched once.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import format_bytes, require_room
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.remote.retry import log
from alexnet.pipeline.remote.transfer import fetch_file, fetch_range, takes_ranges
from alexnet.pipeline.remote.url import WEB
from alexnet.pipeline.source.csv_names import FileNames
from alexnet.pipeline.source.label_csv import Row
from alexnet.pipeline.source.members import COPY_AGAIN, ArchiveStore
from alexnet.pipeline.source.remote_store import RemoteStore
from alexnet.pipeline.source.stores import FolderStore, Store
from alexnet.pipeline.source.tar_store import TarStore
from alexnet.pipeline.source.zip_store import ZipStore

# The beginnings of a zip, and of gzip, bzip2, xz and Zstandard files.
ZIP_MAGIC = b"PK\3\4"
COMPRESSED_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


def open_store(place: Place) -> Store:
    """Return the store at a path or behind a URL.

    Raises:
        DataError: there is nothing there, or nothing that can be read.
    """
    place = as_place(place)
    if isinstance(place, Location):
        return _open_remote(place)
    if place.is_dir():
        return FolderStore(place)
    if not place.exists():
        raise _nothing_at(place)
    if place.is_file():  # opening a pipe would wait for ever
        return open_archive(place)
    raise DataError(f"{place} is neither a folder nor a file")


def _nothing_at(place: Place) -> DataError:
    kind = "file" if place.suffix else "folder"
    return DataError(
        f"no such {kind}: {place}. Expected a folder of class folders, a flat folder"
        " of names like cat.0.jpg, a CSV with filename,label, or a zip or tar of"
        " one of these."
    )


def open_beside(table: Place, rows: Callable[[], Iterable[Row]]) -> Store:
    """Return the store of the files that a table names, those beside it.

    Args:
        rows: gives the table's rows, where the place lists nothing.
    """
    if isinstance(table, Path):
        return FolderStore(table.parent)
    folder = table.parent
    if table.protocol not in WEB:
        return RemoteStore(folder)
    # Of whole addresses, what they are below the folder.
    key_of = FileNames((), "", folder).key_of
    return RemoteStore(folder, [key_of(row.filename) or row.filename for row in rows()])


def _open_remote(location: Location) -> Store:
    if location.is_file():
        return _open_remote_archive(location)
    if location.protocol in WEB or not location.is_dir():
        raise _nothing_at(location)
    return RemoteStore(location)


def is_archive(place: Place) -> bool:
    """Tell a zip or tar by its content; a picture may have one at its end.

    At a URL, whatever is compressed counts as one.
    """
    if isinstance(place, Location):
        head = fetch_range(place, 0, tarfile.BLOCKSIZE)
        return head.startswith((ZIP_MAGIC, *COMPRESSED_MAGIC)) or _begins_tar(head)
    with place.open("rb") as file:
        head = file.read(4)
    return head == ZIP_MAGIC or tarfile.is_tarfile(place)


def _begins_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def open_archive(path: Path, address: Location | None = None) -> ArchiveStore:
    """Return the store of the zip or tar at `path`.

    Args:
        address: the place for people of a file that `path` is a copy of.

    Raises:
        DataError: it is neither, or cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(len(ZIP_MAGIC) * 2)
    place = address or path
    _require_plain(place, head)
    # First, because a tar whose last member is a zip would pass for that.
    if tarfile.is_tarfile(path):
        return TarStore(path)
    if zipfile.is_zipfile(path):
        return ZipStore(path)
    if head.startswith(ZIP_MAGIC):
        raise DataError(
            f"{place} is cut short: it begins as a zip and lacks the table of contents"
            f" at the end. {COPY_AGAIN}"
        )
    raise _no_archive(place)


def _require_plain(place: Place, head: bytes) -> None:
    if head.startswith(COMPRESSED_MAGIC):
        raise DataError(
            f"{place} is compressed, and only a plain tar can be read in any order."
            " Unpack it, or decompress it first."
        )


def _no_archive(place: Place) -> DataError:
    return DataError(f"{place} is neither a folder, a CSV, a zip nor a tar")


def _open_remote_archive(location: Location) -> ArchiveStore:
    if not takes_ranges(location):
        return _fetched(location)
    head = fetch_range(location, 0, tarfile.BLOCKSIZE)
    _require_plain(location, head)
    if head.startswith(ZIP_MAGIC):
        return ZipStore(location)
    if not _begins_tar(head):
        raise _no_archive(location)
    return _fetched(location)


def _fetched(location: Location) -> ArchiveStore:
    """Return the store of a copy of an archive, which goes with the store."""
    folder = Path(mkdtemp(prefix="alexnet-"))
    try:
        num_bytes = location.num_bytes()
        require_room(folder, num_bytes)
        log.warning(
            "%s is fetched to %s first: %s",
            *(location, folder, format_bytes(num_bytes)),
        )
        path = folder / (location.name or "archive")
        fetch_file(location, path)
        store = open_archive(path, location)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    store.shown = location
    finalize(store, shutil.rmtree, folder, ignore_errors=True)
    return store
