"""Storages: the ways to put an image into a record, and to get it out again.

`STORAGES` has the four by name. Another one is a class here, a name in `StorageName`
and an entry of that table.
"""

from __future__ import annotations

import io
import zlib
from abc import ABC, abstractmethod
from math import prod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.records.image import (
    START_OF_SCAN,
    apply_exif_orientation,
    orientation,
    read_image,
    to_rgb,
    to_square,
    yuv420_planes,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

ENCODED = "image/encoded"
RAW = "image/raw"

# Formats that `original` records keep, as they call them. An MPO starts with a JPEG.
ORIGINALS: dict[str | None, bytes] = {"JPEG": b"jpeg", "MPO": b"jpeg", "PNG": b"png"}
END_OF_JPEG = b"\xff\xd9"
PNG_SIGNATURE_BYTES = 8

# The bytes of a stored image, or uint8 [bytes] of them where they lie.
StoredImage: TypeAlias = "bytes | np.ndarray"


class Storage(ABC):
    """A way to store an image."""

    name: ClassVar[StorageName]
    # The feature of a record that holds the image.
    image_key: ClassVar[str] = ENCODED
    colorspace: ClassVar[bytes] = b"RGB"
    # The work on the host that reading it cannot be faster than, as the bench calls it.
    limit: ClassVar[str] = "jpeg decode"
    # Whether images are squares of the set's side, or of sizes of their own.
    is_square: ClassVar[bool] = True
    # Whether images are bare pixels, so that records have one length.
    is_pixels: ClassVar[bool] = False

    def image_shape(self, side: int) -> tuple[int, ...]:
        """The shape of a decoded image."""
        return (side, side, 3)

    def pixel_bytes(self, side: int) -> int:
        """The size of a decoded image."""
        return prod(self.image_shape(side))

    def read(self, data: bytes, key: str, config: BuildConfig) -> tuple[Image, Image]:
        """The photo as its file has it, and what a record shows of it, RGB and upright.

        Raises:
            BadImage: the bytes are no image that can be used.
        """
        photo = read_image(data, config.side, key)
        return photo, to_square(photo, config.side, config.resize)

    @abstractmethod
    def encode(
        self, data: bytes, photo: Image, shown: Image, config: BuildConfig
    ) -> tuple[bytes, bytes]:
        """The bytes to store of a photo, and the name of their format.

        Args:
            data: the photo's file, of which `read` made the two images.
        """

    @abstractmethod
    def decode(self, image: StoredImage, out: np.ndarray, config: BuildConfig) -> None:
        """Write a stored image to `out`, uint8 of `image_shape`.

        Raises:
            BadImage: it cannot be decoded.
            ValueError: as `BadImage`, or it has another size.
        """


class JpegStorage(Storage):
    """JPEG squares."""

    name = "jpeg"

    def encode(
        self, data: bytes, photo: Image, shown: Image, config: BuildConfig
    ) -> tuple[bytes, bytes]:
        encoded = io.BytesIO()
        shown.save(encoded, "JPEG", quality=config.quality)
        return encoded.getvalue(), b"jpeg"

    def decode(self, image: StoredImage, out: np.ndarray, config: BuildConfig) -> None:
        import simplejpeg

        decoded = simplejpeg.decode_jpeg(image, "RGB", buffer=out)
        if decoded.shape != out.shape:  # a smaller one leaves what lay in the memory
            height, width, _ = decoded.shape
            raise ValueError(f"{width} x {height} px, where {config.side} are stored")


class OriginalStorage(Storage):
    """Image files as they are, or as PNG where TensorFlow cannot show them."""

    name = "original"
    is_square = False

    def read(self, data: bytes, key: str, config: BuildConfig) -> tuple[Image, Image]:
        photo = read_image(data, key=key)
        return photo, apply_exif_orientation(to_rgb(photo), orientation(photo))

    def encode(
        self, data: bytes, photo: Image, shown: Image, config: BuildConfig
    ) -> tuple[bytes, bytes]:
        if image_format := _format_to_keep(data, photo):
            return data, image_format
        encoded = io.BytesIO()
        shown.save(encoded, "PNG")
        return encoded.getvalue(), b"png"

    def decode(self, image: StoredImage, out: np.ndarray, config: BuildConfig) -> None:
        import numpy as np

        photo = read_image(bytes(image), config.side)
        np.copyto(out, np.asarray(to_square(photo, config.side, config.resize)))


def _format_to_keep(data: bytes, photo: Image) -> bytes | None:
    """The format of a file that TensorFlow shows as Pillow does; None of others."""
    plain = photo.mode in ("RGB", "L") and "transparency" not in photo.info
    if photo.format not in ORIGINALS or not plain or orientation(photo) != 1:
        return None
    if photo.format == "PNG":
        whole = _is_whole_png(data)
    else:
        whole = data.rfind(END_OF_JPEG) > data.rfind(START_OF_SCAN)
    return ORIGINALS[photo.format] if whole else None


def _is_whole_png(data: bytes) -> bool:
    """Return whether all chunks are there and have their checksums.

    Pillow reads on without, TensorFlow does not.
    """
    view, place = memoryview(data), PNG_SIGNATURE_BYTES
    while place < len(data):
        name = place + 4
        end = name + 4 + int.from_bytes(view[place:name], "big")
        if zlib.crc32(view[name:end]) != int.from_bytes(view[end : end + 4], "big"):
            return False
        if bytes(view[name : name + 4]) == b"IEND":
            return end + 4 <= len(data)
        place = end + 4
    return False


class RawStorage(Storage):
    """Rows of RGB pixels."""

    name: ClassVar[StorageName] = "raw"
    image_key = RAW
    limit = "memory gather"
    is_pixels = True

    def encode(
        self, data: bytes, photo: Image, shown: Image, config: BuildConfig
    ) -> tuple[bytes, bytes]:
        return shown.tobytes(), self.name.encode()

    def decode(self, image: StoredImage, out: np.ndarray, config: BuildConfig) -> None:
        import numpy as np

        np.copyto(out, np.frombuffer(image, np.uint8).reshape(out.shape))


class Yuv420Storage(RawStorage):
    """A luma plane, then Cb and Cr of half the side, one below the other."""

    name = "yuv420"
    colorspace = b"YCbCr"

    def image_shape(self, side: int) -> tuple[int, ...]:
        """The shape of the planes: [3 S / 2, S]."""
        return (side * 3 // 2, side)

    def encode(
        self, data: bytes, photo: Image, shown: Image, config: BuildConfig
    ) -> tuple[bytes, bytes]:
        return yuv420_planes(shown), self.name.encode()


STORAGES: dict[StorageName, Storage] = {
    storage.name: storage
    for storage in (JpegStorage(), RawStorage(), Yuv420Storage(), OriginalStorage())
}
