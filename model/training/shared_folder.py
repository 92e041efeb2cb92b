"""A folder on a file system that several machines share."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def is_seen(path: Path, seconds: float) -> bool:
    """Wait up to `seconds` to see another machine's file; tell whether it is seen."""
    until = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > until:
            return False
        with suppress(OSError):  # it may be there already, and its folder not yet
            next(path.parent.iterdir(), None)  # a client of NFS asks the server again
        time.sleep(0.1)
    return True
