"""Files that stay in a cache while a process holds them.

They are locked, which the system undoes for a process that is killed.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from contextlib import suppress
from io import FileIO
from pathlib import Path

# In a folder of files, locked by whoever needs all of them to stay.
IN_USE = "in-use"


class Held:
    """A lock that keeps files in a cache until it is released, or dropped."""

    def __init__(self, file: FileIO) -> None:
        self.release = weakref.finalize(self, file.close)


def hold_all(folder: Path) -> Held:
    """Keep all files that are, or will be, in a folder."""
    return _lock_shared(FileIO(folder / IN_USE, "a"))


def is_whole(target: Path, num_bytes: int) -> bool:
    """Tell whether a file is there at its size."""
    return any(status.st_size == num_bytes for status in statuses(target))


def statuses(path: Path) -> list[os.stat_result]:
    """Return a file's status; nothing of one that is gone."""
    with suppress(FileNotFoundError):
        return [path.stat()]
    return []


def hold_whole(target: Path, num_bytes: int) -> Held | None:
    """Lock a whole file against eviction; None where there is none."""
    with suppress(FileNotFoundError):
        file = FileIO(target)
        held = _lock_shared(file)
        # It may have been evicted, or replaced, between our opening and our locking.
        for status in statuses(target):
            if os.path.samestat(os.fstat(file.fileno()), status):
                return held if status.st_size == num_bytes else None
    return None


def _lock_shared(file: FileIO) -> Held:
    with suppress(OSError):  # there are file systems without locks
        fcntl.flock(file, fcntl.LOCK_SH)
    return Held(file)


def evict(path: Path) -> bool:
    """Delete a file unless a process holds it; tell whether it is gone."""
    with suppress(OSError), FileIO(path.parent / IN_USE, "a") as all_files:
        fcntl.flock(all_files, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with FileIO(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            return True
    return False
