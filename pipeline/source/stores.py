"""Stores of a source's files: these are listed, and read one by one by key.

A store can be pickled, so that every worker process opens it for itself. Here is that
of a folder; `zip_store` and `tar_store` have those of archives, `remote_store` has that
of a URL.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import NamedTuple, Protocol

# A photo's file: a 16-bit TIFF of 80 megapixels. A worker holds it in memory, so this
# is what a file of any size, or a bomb in an archive, can cost.
MAX_FILE_BYTES = 2**29
NO_FILE = "no plain file"
# Errors of opening a name that no file has.
LEADS_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
SYSTEM_FOLDER = "a system folder"
# Bins, snapshots and thumbnails of Windows, Macs, Synology and QNAP; names of hidden
# ones begin with a dot. What a class may be called, such as `trash`, is none of them.
SYSTEM_FOLDERS = frozenset(
    (
        *("$RECYCLE.BIN", "RECYCLER", "System Volume Information", "FOUND.000"),
        *("__MACOSX", "Network Trash Folder", "Temporary Items"),
        *("@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot"),
        *("~snapshot", "lost+found", "__pycache__"),
    )
)


class Entry(NamedTuple):
    """One file of a store: posix path relative to the store, size in bytes."""

    key: str
    size_bytes: int


class Store(Protocol):
    """A place that holds files."""

    @property
    def is_remote(self) -> bool:
        """Whether each read is a request to a store or server."""

    def entries(self, leave_out: Callable[[str], None]) -> Iterator[Entry]:
        """Yield the files in any order, but hidden ones.

        Args:
            leave_out: is called with what else there is, each as 'name (reason)'.

        Raises:
            DataError: it is an archive that cannot be used.
            OSError: a folder cannot be read.
        """

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        """Return a file's bytes, or its first `num_bytes`.

        Raises:
            OSError: the file cannot be read. It has no error number where the file is
                at fault: missing or damaged in its archive, no plain file, or larger
                than a photo can be.
        """

    def expect(self, keys: Iterable[str]) -> None:
        """Prepare for files that are soon read, in this order, where that helps."""

    def exists(self) -> bool:
        """Tell whether the place is still there, and holds something."""

    def place(self, key: str) -> str:
        """Return a file's path for people, behind that of its archive.

        It is valid UTF-8: TensorFlow dies of an error whose text is not.
        """


def folder_of(key: str) -> str:
    """Return the folder that a key lies in, with a slash at the end; '' at the top."""
    return key[: key.rfind("/") + 1]


def printable(path: str) -> str:
    """Return a path in valid UTF-8, with other bytes as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def require_photo_size(size_bytes: int) -> None:
    """Check that a file is no larger than a photo can be.

    Raises:
        OSError: it is.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise OSError(
            f"{size_bytes:,} bytes: no photo is larger than {MAX_FILE_BYTES:,}"
        )


class FolderStore:
    """Files below a folder; links are followed, also out of it.

    A folder that links lead to, even from inside itself, is listed once: at its own
    place if that is below the root.
    """

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self, leave_out: Callable[[str], None]) -> Iterator[Entry]:
        for key, status in self._walk(leave_out):
            if status is None:  # a link to nothing: reading it will say so
                yield Entry(key, 0)
            elif stat.S_ISREG(status.st_mode):
                yield Entry(key, status.st_size)
            else:
                leave_out(f"{key} ({NO_FILE})")

    def _walk(
        self, leave_out: Callable[[str], None]
    ) -> Iterator[tuple[str, os.stat_result | None]]:
        """Yield key and status of all but folders and hidden files; links come last."""
        folders, visited = deque([""]), set[tuple[int, int | str]]()
        while folders:
            prefix = folders.popleft()
            if (place := _place(Path(self.root, prefix))) in visited:
                continue
            visited.add(place)
            inner = []
            with os.scandir(f"{self.root}/{prefix}") as items:
                for item in items:  # a million of them kept would be 300 MB
                    if item.name.startswith("."):
                        continue
                    status = _status(item)
                    if status is None or not stat.S_ISDIR(status.st_mode):
                        yield prefix + item.name, status
                    elif item.name in SYSTEM_FOLDERS:  # which may not be readable
                        leave_out(f"{prefix}{item.name}/ ({SYSTEM_FOLDER})")
                    else:
                        inner.append((item.name, item.is_symlink()))
            for name, is_link in sorted(inner):
                add = folders.append if is_link else folders.appendleft
                add(f"{prefix}{name}/")

    def expect(self, keys: Iterable[str]) -> None:
        pass  # the system reads ahead

    def exists(self) -> bool:
        try:
            with os.scandir(self.root) as items:
                return any(items)
        except OSError:
            return False

    def place(self, key: str) -> str:
        return printable(f"{self.root}/{key}")

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        # O_NONBLOCK: opening a FIFO would wait for ever.
        number = os.open(f"{self.root}/{key}", os.O_RDONLY | os.O_NONBLOCK)
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            os.close(number)  # FileIO would not, of a folder
            raise OSError("not a regular file")
        with FileIO(number) as file:
            if num_bytes < 0:
                require_photo_size(status.st_size)
            return file.read(num_bytes)


def _place(folder: Path) -> tuple[int, int | str]:
    """Return the identity of a folder, through whatever links it is reached."""
    status = folder.stat()
    # Some network and FUSE file systems number all of their files 0.
    return status.st_dev, status.st_ino or os.path.realpath(folder)


def _status(item: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of an item or its target; None where a link leads nowhere."""
    try:
        return item.stat()
    except OSError as error:
        if error.errno not in LEADS_NOWHERE:
            raise
        return None
