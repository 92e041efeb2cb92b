"""Image files that a record may keep as they are."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from alexnet.pipeline.records.image import START_OF_SCAN, orientation

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats that `original` records keep, as they call them. An MPO starts with a JPEG.
ORIGINALS: dict[str | None, bytes] = {"JPEG": b"jpeg", "MPO": b"jpeg", "PNG": b"png"}
END_OF_JPEG = b"\xff\xd9"
PNG_SIGNATURE_BYTES = 8


def format_to_keep(data: bytes, photo: Image) -> bytes | None:
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
