"""TurboJPEG, libjpeg-turbo's own library: a JPEG as the planes that it holds.

simplejpeg, which decodes JPEGs everywhere else, gives RGB alone. The five functions
called here, through ctypes and outside Python's lock, are those that versions 2 and 3
have in common.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_ulong, c_void_p
from ctypes.util import find_library
from functools import cache
from threading import local
from typing import TYPE_CHECKING
from weakref import finalize

from alexnet.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

# Names the library's file where the system does not find it by itself.
LIBRARY_VARIABLE = "ALEXNET_TURBOJPEG"
# Tried where `find_library` finds nothing, as where `ldconfig` is missing.
SHARED_OBJECT = "libturbojpeg.so.0"
# turbojpeg.h: enums TJSAMP and TJCS.
SAMPLING_420, YCBCR = 2, 1


@cache
def load_turbojpeg() -> ctypes.CDLL:
    """The library, its functions declared.

    Raises:
        ConfigError: it is not installed, or older than version 2.
    """
    name = os.environ.get(LIBRARY_VARIABLE) or find_library("turbojpeg")
    try:
        library = ctypes.CDLL(name or SHARED_OBJECT)
        library.tjInitDecompress.restype = c_void_p
        library.tjDestroy.argtypes = [c_void_p]
        library.tjDecompressHeader3.argtypes = [
            *(c_void_p, c_void_p, c_ulong),
            *[POINTER(c_int)] * 4,
        ]
        library.tjDecompressToYUV2.argtypes = [
            *(c_void_p, c_void_p, c_ulong, c_void_p),
            *[c_int] * 4,
        ]
        library.tjGetErrorStr2.argtypes = [c_void_p]
        library.tjGetErrorStr2.restype = c_char_p
    except (OSError, AttributeError) as error:
        raise ConfigError(
            f"`decode='planes'` needs libturbojpeg 2 or newer: {error}. Install it"
            " (`libturbojpeg0` on Debian, `libturbojpeg` on Ubuntu, `turbojpeg` on"
            " Fedora, `jpeg-turbo` in Homebrew, `libjpeg-turbo` in conda), name its"
            f" file in {LIBRARY_VARIABLE}, or choose `decode='rgb'`."
        ) from error
    return library


class Decompressor:
    """A decoder of one JPEG after the other, in one thread at a time."""

    def __init__(self) -> None:
        self._library = load_turbojpeg()
        self._handle = self._library.tjInitDecompress()
        if not self._handle:
            raise MemoryError("there is no room for a JPEG decoder")
        # Not at Python's exit, when a thread of tf.data may still be decoding.
        finalize(self, self._library.tjDestroy, self._handle).atexit = False
        # Width, height, sampling and colour space.
        self._header = [c_int() for _ in range(4)]
        self._pointers = [byref(value) for value in self._header]

    def decode(self, jpeg: np.ndarray, out: np.ndarray) -> bool:
        """Write luma, Cb and Cr of a 4:2:0 JPEG to `out`; False for another JPEG.

        Args:
            jpeg: uint8 [bytes].
            out: uint8 [3 S / 2, S], one plane behind the other.

        Raises:
            ValueError: it is damaged, or is no square of side S.
        """
        handle, library, data = self._handle, self._library, jpeg.ctypes.data
        self._require(
            library.tjDecompressHeader3(handle, data, jpeg.size, *self._pointers)
        )
        width, height, sampling, colours = (value.value for value in self._header)
        side = out.shape[1]
        if (width, height) != (side, side):
            raise ValueError(f"{width} x {height} px, where {side} are stored")
        # The planes of another JPEG would not end where `out` does.
        if (sampling, colours) != (SAMPLING_420, YCBCR):
            return False
        self._require(
            library.tjDecompressToYUV2(
                *(handle, data, jpeg.size, out.ctypes.data), side, 1, side, 0
            )
        )
        return True

    def _require(self, status: int) -> None:
        """Check that a call was done without an error or a warning.

        Raises:
            ValueError: it was not.
        """
        if status:
            reason = self._library.tjGetErrorStr2(self._handle)
            raise ValueError(reason.decode(errors="replace"))


class _ThreadDecompressor(local):
    """A decompressor for every thread that asks for it."""

    def __init__(self) -> None:
        self.decompressor = Decompressor()


@cache
def _threads() -> _ThreadDecompressor:
    return _ThreadDecompressor()


def thread_decompressor() -> Decompressor:
    """This thread's own decompressor.

    Raises:
        ConfigError: the library is not there.
    """
    return _threads().decompressor
