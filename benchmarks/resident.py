"""The memory that this process itself holds, as Linux counts it.

Mapped files are not in it: their pages are the page cache's, which gives them up when
memory is short.
"""

from __future__ import annotations

import ctypes
import re
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
    found = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.M)
    return int(found[1]) * 2**10 if found else 0
