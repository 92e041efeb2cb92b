"""Read a file of a source; try again where that fails, and say what is at fault.

A fault of the file itself makes it a bad image, which a build sets aside. A fault on
the way to it (disk, network, memory, rights) is no evidence against it, and ends the
build.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from alexnet.pipeline.errors import BadImage, ReadError
from alexnet.pipeline.source.stores import LEADS_NOWHERE, Store

Result = TypeVar("Result")

# Between tries: a passing fault of a network or of memory passes in that time.
WAIT_SECONDS = (0.1, 0.5)
GONE = {errno.ENOENT, errno.ENOTDIR}
# A table may name what no file can be called, and sockets.
NO_NAME = LEADS_NOWHERE | {errno.EINVAL, errno.EILSEQ, errno.ENXIO}
FORBIDDEN = {errno.EACCES, errno.EPERM}
NEXT_STEPS = {
    **dict.fromkeys(FORBIDDEN, "Allow this user to read it (chmod), or take it away"),
    **dict.fromkeys(
        GONE,
        "The whole source is gone: bring it back (is a disk no longer mounted, or not"
        " on this machine?)",
    ),
    errno.EMFILE: "Allow more open files (ulimit -n)",
    errno.ENFILE: "Close what holds so many files open",
    errno.ENOMEM: "Give fewer `workers`, free memory, or take the file away",
}
LOOK_AFTER = "Look after the disk or the network that it is on"


class Listed(Protocol):
    """A file of a listing; one that only a table names has size 0."""

    @property
    def key(self) -> str:
        """Its posix path relative to the store."""

    @property
    def size_bytes(self) -> int:
        """Its size when it was listed."""


def read_file(
    store: Store,
    file: Listed,
    use: Callable[[bytes], Result],
    num_bytes: int = -1,
) -> Result:
    """Read a file, or its first `num_bytes`, and return what `use` makes of that.

    Raises:
        BadImage: the file is at fault, or `use` says so of what it holds.
        ReadError: the file is not known to be at fault, and cannot be read or takes
            more memory than there is, each time it is tried.
    """
    for wait_seconds in (*WAIT_SECONDS, None):
        try:
            return use(store.read(file.key, num_bytes))
        except MemoryError as error:
            failure = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            failure.__cause__ = error
        except OSError as error:
            if _is_at_fault(store, file, error):
                reason = error.strerror or error
                raise BadImage(f"cannot be read: {reason}") from error
            failure = error
        if wait_seconds is None or failure.errno in FORBIDDEN:
            break
        time.sleep(wait_seconds)
    raise read_error(store.place(file.key), failure) from failure


def _is_at_fault(store: Store, file: Listed, error: OSError) -> bool:
    """Tell whether an error is about the file, and not about the way to it.

    Errors without a number are not the system's: they are about the file. A missing
    file was named by a table only, or was deleted since, unless all others are missing.
    """
    if error.errno is None:
        return True
    if not file.size_bytes:
        return error.errno in NO_NAME
    return error.errno in GONE and store.exists()


def read_error(place: str, failure: OSError) -> ReadError:
    """Return the error that names an unreadable file, and what to do."""
    number = failure.errno or 0
    return ReadError(
        f"{place} cannot be read: {failure.strerror}. The file itself may be good, so"
        f" it was not set aside. {NEXT_STEPS.get(number, LOOK_AFTER)}."
    )
