"""The codec of records: a storage is a way to encode, parse and decode an image.

Encoding runs in the build's workers, on Pillow, without TensorFlow; parsing and
decoding run inside tf.data. Feature keys are the ImageNet lineage's.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pipeline.config import BuildConfig, Fit, Storage
from pipeline.example import encode_example
from pipeline.pixels import orientation, read_image, square, to_rgb, upright

if TYPE_CHECKING:
    import tensorflow as tf

ENCODED = "image/encoded"
RAW = "image/raw"
LABEL = "image/class/label"
FILENAME = "image/filename"


def encode_record(
    data: bytes, key: str, label: int, class_name: str, config: BuildConfig
) -> bytes:
    """A serialised Example that holds the image file's bytes as `config` asks.

    Raises:
        BadImage: the bytes are no image that can be used.
    """
    pixels, width, height, image_format = _encode_image(data, config)
    return encode_example(
        {
            RAW if config.storage == "raw" else ENCODED: pixels,
            "image/format": image_format,
            "image/height": height,
            "image/width": width,
            "image/channels": 3,
            "image/colorspace": b"RGB",
            LABEL: label,
            "image/class/text": class_name.encode("utf-8", "surrogateescape"),
            FILENAME: key.encode("utf-8", "surrogateescape"),
        }
    )


def _encode_image(data: bytes, config: BuildConfig) -> tuple[bytes, int, int, bytes]:
    """The stored bytes, their width, height and format."""
    if config.storage == "original":
        return _keep_original(data)
    image = square(read_image(data, config.side), config.side, config.fit)
    if config.storage == "raw":
        return image.tobytes(), config.side, config.side, b"raw"
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=config.quality)
    return encoded.getvalue(), config.side, config.side, b"jpeg"


def _keep_original(data: bytes) -> tuple[bytes, int, int, bytes]:
    """The file as it is where TensorFlow shows it as Pillow does, else as a PNG."""
    image = read_image(data)
    turn = orientation(image)
    plain = image.mode in ("RGB", "L") and "transparency" not in image.info
    if image.format in ("JPEG", "PNG") and plain and turn == 1:
        return data, image.width, image.height, image.format.lower().encode()
    image = upright(to_rgb(image), turn)
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue(), image.width, image.height, b"png"


def parse(records: tf.Tensor, storage: Storage) -> tuple[tf.Tensor, tf.Tensor]:
    """Stored image bytes, string [], and label, int64 [], of one record."""
    import tensorflow as tf

    pixels = RAW if storage == "raw" else ENCODED
    found = tf.io.parse_single_example(
        records,
        {
            pixels: tf.io.FixedLenFeature([], tf.string),
            LABEL: tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return found[pixels], found[LABEL]


def decode(stored: tf.Tensor, storage: Storage, side: int, fit: Fit) -> tf.Tensor:
    """uint8 [side, side, 3] in [0, 255] from the bytes of one record."""
    import tensorflow as tf

    if storage == "raw":
        return tf.reshape(tf.io.decode_raw(stored, tf.uint8), [side, side, 3])
    # INTEGER_ACCURATE costs what INTEGER_FAST costs, and is closer to Pillow's pixels.
    # The op reads PNG as well, of which `original` may hold some.
    image = tf.io.decode_jpeg(stored, channels=3, dct_method="INTEGER_ACCURATE")
    if storage == "jpeg":
        return tf.ensure_shape(image, [side, side, 3])
    return fit_square(image, side, fit)


def fit_square(image: tf.Tensor, side: int, fit: Fit) -> tf.Tensor:
    """As `pixels.square`, in TensorFlow, on uint8 [height, width, 3]."""
    import tensorflow as tf

    if fit == "crop":
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        shorter = tf.minimum(height, width)
        image = tf.image.crop_to_bounding_box(
            image, (height - shorter) // 2, (width - shorter) // 2, shorter, shorter
        )
    resized = tf.image.resize(image, [side, side], "bicubic", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
