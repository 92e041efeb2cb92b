"""The encoding half of the codec: a storage is a way to put an image into a record.

It runs in the build's workers, on Pillow, without TensorFlow. Feature keys are the
ImageNet lineage's.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, NamedTuple

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.records.fixed_layout import Layout, encode_fixed
from alexnet.pipeline.records.image import (
    SOURCE_SIZE,
    START_OF_SCAN,
    orientation,
    pixel_digest,
    read_image,
    square,
    to_rgb,
    upright,
    yuv420_planes,
)
from alexnet.pipeline.records.tfrecord import encode_example

if TYPE_CHECKING:
    from PIL.Image import Image

ENCODED = "image/encoded"
RAW = "image/raw"
LABEL = "image/class/label"
FILENAME = "image/filename"

# Formats that `original` records keep, as they call them. An MPO starts with a JPEG.
ORIGINALS: dict[str | None, bytes] = {"JPEG": b"jpeg", "MPO": b"jpeg", "PNG": b"png"}
END_OF_JPEG = b"\xff\xd9"
PNG_SIGNATURE_BYTES = 8


class Encoded(NamedTuple):
    """A record, and what is told of its photo: pixels' digest, width and height."""

    record: bytes
    digest: bytes
    width: int
    height: int


def encode_record(
    data: bytes,
    key: str,
    label: int,
    class_name: str,
    config: BuildConfig,
    layout: Layout | None,
) -> Encoded:
    """A serialised Example that holds the image file's bytes as `config` asks.

    The digest is of what the record shows, RGB and upright, before it is compressed.

    Args:
        layout: of the mapped storages' records.

    Raises:
        BadImage: the bytes are no image that can be used.
    """
    name = class_name.encode("utf-8", "surrogateescape")
    file_name = key.encode("utf-8", "surrogateescape")
    photo, shown = _read(data, key, config)
    if layout is not None:
        pixels = shown.tobytes()
        planes = pixels if config.storage == "raw" else yuv420_planes(shown)
        record = encode_fixed(label, name, file_name, planes, config, layout)
    else:
        encoded, image_format = _compress(data, photo, shown, config)
        record = encode_example(
            {
                LABEL: label,
                ENCODED: encoded,
                "image/format": image_format,
                "image/height": shown.height,
                "image/width": shown.width,
                "image/channels": 3,
                "image/colorspace": b"RGB",
                "image/class/text": name,
                FILENAME: file_name,
            }
        )
        pixels = shown.tobytes()
    digest = pixel_digest(pixels, shown.width)
    return Encoded(record, digest, *photo.info[SOURCE_SIZE])


def _read(data: bytes, key: str, config: BuildConfig) -> tuple[Image, Image]:
    """The photo as its file has it, and what a record shows of it, RGB and upright."""
    if config.storage == "original":
        photo = read_image(data, key=key)
        return photo, upright(to_rgb(photo), orientation(photo))
    photo = read_image(data, config.side, key)
    return photo, square(photo, config.side, config.resize)


def _compress(
    data: bytes, photo: Image, shown: Image, config: BuildConfig
) -> tuple[bytes, bytes]:
    """The stored bytes and their format.

    An original stays as it is where TensorFlow shows it as Pillow does.
    """
    encoded = io.BytesIO()
    if config.storage != "original":
        shown.save(encoded, "JPEG", quality=config.quality)
        return encoded.getvalue(), b"jpeg"
    if _is_plain(data, photo):
        return data, ORIGINALS[photo.format]
    shown.save(encoded, "PNG")
    return encoded.getvalue(), b"png"


def _is_plain(data: bytes, photo: Image) -> bool:
    """Return whether TensorFlow shows the file as Pillow does."""
    plain = photo.mode in ("RGB", "L") and "transparency" not in photo.info
    if photo.format not in ORIGINALS or not plain or orientation(photo) != 1:
        return False
    if photo.format == "PNG":
        return _is_whole_png(data)
    return data.rfind(END_OF_JPEG) > data.rfind(START_OF_SCAN)


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
