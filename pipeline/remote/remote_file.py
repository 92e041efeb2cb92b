"""A remote file that is read like an open one, by ranges."""

from __future__ import annotations

import io
from typing import Any

from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.transfer import fetch_range

# Fetched at once where less is asked for: what is read next often lies behind it.
AHEAD_BYTES = 2**16


class RemoteFile(io.RawIOBase):
    """A seekable file of which the last range that was fetched is kept."""

    def __init__(self, location: Location) -> None:
        super().__init__()
        self.location, self.num_bytes = location, location.num_bytes()
        self._position = 0
        # A range's first byte, and the range.
        self._window = (0, b"")

    def keep(self, start: int, data: bytes) -> None:
        """Have the bytes from `start` on at hand for the next reads."""
        self._window = (start, data)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read in any order."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        start = (0, self._position, self.num_bytes)[whence]
        if start + offset < 0:
            raise OSError(22, "a place before the first byte")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, but for what lies behind the file's end."""
        wanted = max(0, min(len(buffer), self.num_bytes - self._position))
        data = self._bytes(self._position, wanted) if wanted else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _bytes(self, start: int, size: int) -> bytes:
        first, window = self._window
        at = start - first
        if at < 0 or at + size > len(window):
            window = fetch_range(self.location, start, max(size, AHEAD_BYTES))
            self._window, at = (start, window), 0
        return window[at : at + size]
