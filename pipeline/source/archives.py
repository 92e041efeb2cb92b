"""Open a source as what it is: a folder, a zip or a tar.

Archives are read where they are and never unpacked. One that is damaged or encrypted is
refused; a damaged member costs that photo alone.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import require_local
from alexnet.pipeline.source.members import COPY_AGAIN
from alexnet.pipeline.source.stores import FolderStore, Store
from alexnet.pipeline.source.tar_store import TarStore
from alexnet.pipeline.source.zip_store import ZipStore

# The beginnings of gzip, bzip2, xz and Zstandard files.
COMPRESSED_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


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
