"""Files that are read before they are asked for, so that nobody waits for a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Lock

from alexnet.pipeline.background import BackgroundPool

# In flight or waiting to be taken: enough to hide 50 ms of a store behind the 3 ms that
# a photo takes to decode, few enough that photos of 10 MB fit the memory.
MOST_FILES = 16


class ReadAhead:
    """Reads the files that are expected, a few ahead of those that are taken."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read
        self._expected: deque[str] = deque()
        self._reading: dict[str, Future[bytes]] = {}
        self._lock = Lock()
        self._threads = BackgroundPool(MOST_FILES, "files")

    def expect(self, keys: Iterable[str]) -> None:
        """Begin to read files that are soon taken, in this order."""
        with self._lock:
            self._expected.extend(keys)
            self._go_on()

    def take(self, key: str) -> bytes:
        """Return a file's bytes, read ahead or now.

        Raises:
            Exception: what reading it raised.
        """
        with self._lock:
            reading = self._reading.pop(key, None)
            if reading is None:
                with suppress(ValueError):
                    self._expected.remove(key)
            self._go_on()
        return self._read(key) if reading is None else reading.result()

    def _go_on(self) -> None:
        while self._expected and len(self._reading) < MOST_FILES:
            key = self._expected.popleft()
            self._reading[key] = self._threads.submit(partial(self._read, key))
