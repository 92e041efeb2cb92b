"""Photos on their way from a store, a batch at a time, before the batch is decoded.

What TensorFlow calls must not wait for a network: whoever drops an iterator waits for
the call, and that may be the very thread that all transfers need.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from functools import partial
from typing import TYPE_CHECKING

from alexnet.pipeline.background import BackgroundPool
from alexnet.pipeline.remote.read_ahead import MOST_FILES

if TYPE_CHECKING:
    import numpy as np

# Of a call that looks whether a batch is here.
POLL_SECONDS = 0.1


class PhotoArrivals:
    """Reads the photos of batches that are expected, some at a time.

    Args:
        read: gives the bytes of a photo by the number of its row.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._batches: dict[bytes, dict[int, Future[bytes]]] = {}
        self._threads = BackgroundPool(MOST_FILES, "photos")

    def expect(self, rows: np.ndarray) -> None:
        """Begin to read the photos of a batch, int [batch], each once."""
        self._begun(rows)

    def have_arrived(self, rows: np.ndarray) -> bool:
        """Tell whether a batch is here, after a moment at most.

        Raises:
            Exception: what reading one of its photos raised.
        """
        done, missing = wait(
            self._begun(rows).values(), POLL_SECONDS, return_when=FIRST_EXCEPTION
        )
        try:
            for photo in done:
                photo.result()
        except Exception:
            self._batches.pop(rows.tobytes(), None)  # it may be tried again
            raise
        return not missing

    def take(self, rows: np.ndarray) -> dict[int, bytes]:
        """Return the photos of a batch that has arrived, by row, and let it go."""
        photos = self._begun(rows)
        self._batches.pop(rows.tobytes(), None)
        return {row: photo.result() for row, photo in photos.items()}

    def _begun(self, rows: np.ndarray) -> dict[int, Future[bytes]]:
        key = rows.tobytes()
        if (photos := self._batches.get(key)) is None:
            numbers = dict.fromkeys(rows.tolist())
            submit, read = self._threads.submit, self._read
            photos = {row: submit(partial(read, row)) for row in numbers}
            self._batches[key] = photos
        return photos
