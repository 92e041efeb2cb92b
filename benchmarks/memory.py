"""Memory as Linux counts it: what a process holds itself, and what the page cache has.

A benchmark that reads a file twice times the disk once and memory the second time, and
has to tell them apart. The pages of mapped files are the page cache's as well, which
gives them up when memory is short.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from collections.abc import Sequence
from pathlib import Path


class ResidentWatch:
    """The most anonymous memory seen since it was made, above what there was then."""

    def __init__(self) -> None:
        # What earlier work freed would be taken again unseen.
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
        self._before = self._most = anonymous_bytes()

    def look(self) -> None:
        """Count what there is now."""
        self._most = max(self._most, anonymous_bytes())

    @property
    def added_bytes(self) -> int:
        """The most that was seen, above what there was before."""
        return self._most - self._before


def anonymous_bytes() -> int:
    """This process's resident memory that is no file's."""
    status = Path("/proc/self/status").read_text()
    line = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.M)
    return int(line[1]) * 2**10 if line else 0


def evict(paths: Sequence[str]) -> float:
    """Ask Linux to drop the files' pages; returns the share that is still there.

    Pages that another process maps stay, and some file systems drop none.
    """
    _let_go_of_mapped(paths)
    for path in paths:
        with Path(path).open("rb") as file:
            # Pages that are not on the disk yet could not be dropped.
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return resident_share(paths)


def _let_go_of_mapped(paths: Sequence[str]) -> None:
    """Have this process's read-only maps of the files fetch their pages anew."""
    wanted = {str(Path(path).resolve()) for path in paths}
    libc = ctypes.CDLL(None, use_errno=True)
    for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
        # proc(5): address range, permissions, offset, device, inode, path
        place, permissions, *_, path = line.split(maxsplit=5)
        if path in wanted and "w" not in permissions:
            start, end = (int(address, 16) for address in place.split("-"))
            size = ctypes.c_size_t(end - start)
            libc.madvise(ctypes.c_void_p(start), size, mmap.MADV_DONTNEED)


def resident_share(paths: Sequence[str]) -> float:
    """The share of the files' pages that is in the page cache."""
    counts = [_resident_pages(path) for path in paths]
    return sum(resident for resident, _ in counts) / sum(pages for _, pages in counts)


def _resident_pages(path: str) -> tuple[int, int]:
    """A file's pages in the page cache, and all of them.

    Raises:
        OSError: Linux does not tell.
    """
    # A private copy, of which nothing is written: ctypes takes no other map's address.
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view,
    ):
        pages = -(-len(view) // mmap.PAGESIZE)
        flags = (ctypes.c_ubyte * pages)()
        start = ctypes.c_ubyte.from_buffer(view)
        failed = ctypes.CDLL(None, use_errno=True).mincore(
            ctypes.byref(start), ctypes.c_size_t(len(view)), ctypes.byref(flags)
        )
        del start  # or the view could not be closed
        if failed:
            raise OSError(ctypes.get_errno(), "mincore failed", path)
        # Of a page's flag Linux sets the lowest bit alone.
        return bytes(flags).count(1), pages
