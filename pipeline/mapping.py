"""Shard files as one stretch of memory, which TensorFlow gathers from without a copy.

Shards whose size is a multiple of the page are mapped one after another, so that all
of a split is one tensor, whatever the number of its files. What is resident of it is
the page cache's, not this process's.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from pipeline.errors import DataError

# <sys/mman.h>: the same on Linux and macOS; Python's mmap module lacks them.
PROT_NONE, MAP_FIXED = 0, 0x10


class Mapping:
    """Files mapped side by side, read-only, for as long as a view of them lives."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Map `paths`, in order.

        Raises:
            DataError: a file cannot be mapped.
        """
        sizes = [path.stat().st_size for path in paths]
        total = sum(sizes)
        reserve = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        start = _mmap(None, total, PROT_NONE, reserve, -1, "memory")
        self._bytes = (ctypes.c_uint8 * total).from_address(start)
        # Not at exit: TensorFlow's threads may still be reading.
        weakref.finalize(self._bytes, _munmap, start, total).atexit = False
        at = start
        for path, size in zip(paths, sizes, strict=True):
            with path.open("rb") as file:
                flags = mmap.MAP_SHARED | MAP_FIXED
                _mmap(at, size, mmap.PROT_READ, flags, file.fileno(), str(path))
            at += size

    def view(self, offset: int, width: int) -> tf.Tensor:
        """uint8 [rows, width]: the bytes from `offset` on, cut into rows."""
        rows = (len(self._bytes) - offset) // width
        buffer = cast(Any, self._bytes)
        data: np.ndarray = np.frombuffer(buffer, np.uint8, rows * width, offset)
        capsule = data.reshape(rows, width).__dlpack__()
        return tf.experimental.dlpack.from_dlpack(capsule)


def _mmap(
    at: int | None, size: int, protection: int, flags: int, file: int, what: str
) -> int:
    address = _libc().mmap(at, size, protection, flags, file, 0)
    if address == ctypes.c_void_p(-1).value:
        reason = os.strerror(ctypes.get_errno())
        raise DataError(
            f"{what} cannot be mapped ({reason}). Read the records with"
            " --reader stream."
        )
    return int(address)


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
