"""Compressed images -> one uint8 batch, decoded on every CPU at once.

libjpeg-turbo, called through simplejpeg and Pillow, writes each image straight into its
place in the batch and holds no Python lock while it does.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import BadImage, DataError, ReadError
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.storage import STORAGES, Storage, StoredImage

if TYPE_CHECKING:
    import numpy as np

# Images a thread takes at a time: few enough that the threads end together.
GROUP = 8
# TensorFlow takes an array as it is when it starts on such a boundary, else copies it.
ALIGNMENT_BYTES = 64


def decode_images(
    count: int,
    read: Callable[[int], StoredImage],
    name: Callable[[int], str],
    config: BuildConfig,
    storage: Storage | None = None,
) -> np.ndarray:
    """uint8 [count, side, side, 3] in [0, 255] of stored images or of image files.

    A `jpeg` record's image has its size already; others are cut and resized as a build
    does it.

    Args:
        read: gives the image at a place of the batch; called on the threads.
        name: names it for an error.
        storage: what decodes an image, and to what shape; by default the config's.

    Raises:
        DataError: one cannot be decoded.
        ReadError: there is not enough memory for one.
    """
    storage = storage or STORAGES[config.storage]
    batch = empty_batch((count, *storage.image_shape(config.side)))

    def fill(start: int) -> None:
        for place in range(start, min(start + GROUP, count)):
            try:
                storage.decode(read(place), batch[place], config)
            except (BadImage, ValueError) as error:
                raise DataError(f"{name(place)} cannot be used: {error}") from None
            except MemoryError as error:
                raise ReadError(
                    f"{name(place)} takes more memory than there is. Free some, give a"
                    " smaller `ram_budget_bytes`, or take the image away."
                ) from error

    starts = range(0, count, GROUP)
    try:
        filled = _threads().map(fill, starts)
    except RuntimeError:  # Python is leaving, and its pools take no work any more
        filled = map(fill, starts)
    for _ in filled:
        pass
    return batch


def empty_batch(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised uint8 array that TensorFlow takes without copying it."""
    import numpy as np

    size = int(np.prod(shape))
    room = np.empty(size + ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % ALIGNMENT_BYTES
    return room[start : start + size].reshape(shape)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_cpus(), "decode")
