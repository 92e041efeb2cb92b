"""The codec of records: a storage is a way to encode, parse and decode an image.

Encoding runs in the build's workers, on Pillow, without TensorFlow; parsing and
decoding run inside tf.data, a batch at a time. Feature keys are the ImageNet lineage's.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from alexnet.pipeline.config import BuildConfig, Storage
from alexnet.pipeline.decoder import decode_images
from alexnet.pipeline.duplicates import pixel_digest
from alexnet.pipeline.example import encode_example, read_varint, signed
from alexnet.pipeline.layout import Layout, encode_fixed
from alexnet.pipeline.pixels import (
    SOURCE_SIZE,
    START_OF_SCAN,
    orientation,
    read_image,
    square,
    to_rgb,
    upright,
    yuv420_planes,
)

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from PIL.Image import Image

ENCODED = "image/encoded"
RAW = "image/raw"
LABEL = "image/class/label"
FILENAME = "image/filename"

# Formats that `original` records keep, as they call them. An MPO starts with a JPEG.
ORIGINALS: dict[str | None, bytes] = {"JPEG": b"jpeg", "MPO": b"jpeg", "PNG": b"png"}
END_OF_JPEG = b"\xff\xd9"
PNG_SIGNATURE_BYTES = 8

# How a `jpeg` record begins: an Example's first entry is the label, its second holds
# the image. A byte below 128 is a length; a longer one has bytes above that before it.
_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"
JPEG_HEAD = re.compile(
    rb"\n%(n)s"
    rb"\n%(n)s\n\x11image/class/label\x12%(n)s\x1a%(n)s\n%(n)s(%(n)s)"
    rb"\n%(n)s\n\rimage/encoded\x12%(n)s\n%(n)s\n(%(n)s)" % {b"n": _LENGTH},
    re.DOTALL,
)


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
        if view[name : name + 4] == b"IEND":
            return end + 4 <= len(data)
        place = end + 4
    return False


def find_jpeg(record: np.ndarray) -> tuple[int, np.ndarray]:
    """Label and image of a `jpeg` record, uint8 [bytes], where they lie.

    It holds Python's lock for one microsecond, where `read_example` takes nine.

    Raises:
        ValueError: it is no record as `encode_record` writes them.
    """
    head = JPEG_HEAD.match(record.data)
    if head is None:
        raise ValueError("it does not begin with a label and an image")
    label, _ = read_varint(head.group(1), 0)
    size, _ = read_varint(head.group(2), 0)
    return signed(label), record[head.end() : head.end() + size]


def image_shape(storage: Storage, side: int) -> tuple[int, ...]:
    """A decoded image's shape: [S, S, 3], or for `yuv420` its planes, [3 S / 2, S]."""
    return (side * 3 // 2, side) if storage == "yuv420" else (side, side, 3)


def parse(records: tf.Tensor, storage: Storage) -> tuple[tf.Tensor, tf.Tensor]:
    """Stored image bytes, string, and labels, int64, of serialised records.

    `records` are string [batch] or one string []; so is what comes of them.
    """
    import tensorflow as tf

    pixels = RAW if storage in ("raw", "yuv420") else ENCODED
    found = tf.io.parse_example(
        records,
        {
            pixels: tf.io.FixedLenFeature([], tf.string),
            LABEL: tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return found[pixels], found[LABEL]


def decode(stored: tf.Tensor, config: BuildConfig) -> tf.Tensor:
    """uint8 [batch, side, side, 3] in [0, 255], or `yuv420` planes, of string [batch].

    Compressed images go to the decoder's threads as one group.
    """
    import tensorflow as tf

    shape = [*stored.shape, *image_shape(config.storage, config.side)]
    if config.storage in ("raw", "yuv420"):
        pixels = tf.io.decode_raw(stored, tf.uint8)
        return tf.ensure_shape(tf.reshape(pixels, [-1, *shape[1:]]), shape)

    def decode_group(images: np.ndarray) -> np.ndarray:
        return decode_images(
            len(images), images.__getitem__, "image {} of a batch".format, config
        )

    decoded = tf.numpy_function(decode_group, [stored], tf.uint8, stateful=False)
    return tf.ensure_shape(decoded, shape)
