"""Shard files as one stretch of memory, which is read from without a copy.

Each begins with a page. Those whose size is a multiple of the page leave no gap, so
that all of a split is one tensor, whatever the number of its files. What is resident
of it is the page cache's, not this process's; no file stays open.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from alexnet.pipeline.errors import DataError

# <sys/mman.h>: the same on Linux and macOS; Python's mmap module lacks them.
PROT_NONE, MAP_FIXED = 0, 0x10


class Mapping:
    """Files mapped side by side, read-only, for as long as a view of them lives.

    Their places are reserved at once; nothing is to be read there before `fill`.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int]) -> None:
        """Reserve places for `paths`, in order, of which each has its size in bytes.

        Raises:
            DataError: there is no such stretch of addresses.
        """
        self._paths, self._sizes = paths, sizes
        self._starts = list(accumulate(map(_whole_pages, self._sizes), initial=0))
        total = self._starts.pop()
        reserve = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        start = _mmap(None, total, PROT_NONE, reserve, -1, "memory")
        self._bytes = (ctypes.c_uint8 * total).from_address(start)
        # Not at exit: TensorFlow's threads may still be reading.
        weakref.finalize(self._bytes, _munmap, start, total).atexit = False

    def fill(self) -> None:
        """Map the files into their places.

        Raises:
            DataError: a file cannot be mapped, or has another size.
        """
        start, flags = ctypes.addressof(self._bytes), mmap.MAP_SHARED | MAP_FIXED
        places = zip(self._paths, self._sizes, self._starts, strict=True)
        for path, size, at in places:
            with path.open("rb") as file:
                held = os.fstat(file.fileno()).st_size
                if held != size:
                    raise _refusal(str(path), f"it has {held} bytes, not {size}")
                _mmap(start + at, size, mmap.PROT_READ, flags, file.fileno(), str(path))

    def files(self) -> list[np.ndarray]:
        """uint8 [bytes] of each file."""
        memory = memoryview(self._bytes).toreadonly()
        places = zip(self._sizes, self._starts, strict=True)
        return [np.frombuffer(memory, np.uint8, size, at) for size, at in places]

    def view(self, offset: int, width: int) -> tf.Tensor:
        """uint8 [rows, width]: the bytes from `offset` on, cut into rows.

        Raises:
            DataError: a file ends within a page, and another one follows.
        """
        for path, size in zip(self._paths[:-1], self._sizes, strict=False):
            if size != _whole_pages(size):
                raise _refusal(str(path), f"its {size} bytes end within a page")
        rows = (sum(self._sizes) - offset) // width
        buffer = cast(Any, self._bytes)
        data: np.ndarray = np.frombuffer(buffer, np.uint8, rows * width, offset)
        capsule = data.reshape(rows, width).__dlpack__()
        return tf.experimental.dlpack.from_dlpack(capsule)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _mmap(
    at: int | None, size: int, protection: int, flags: int, file: int, what: str
) -> int:
    address = _libc().mmap(at, size, protection, flags, file, 0)
    if address == ctypes.c_void_p(-1).value:
        raise _refusal(what, os.strerror(ctypes.get_errno()))
    return int(address)


def _refusal(what: str, reason: str) -> DataError:
    return DataError(
        f"{what} cannot be mapped ({reason}). Read the records with `reader='stream'`."
    )


def _munmap(address: int, size: int) -> None:
    _libc().munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_longlong,
    )
    return libc
