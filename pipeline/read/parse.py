"""Stored records -> pixels and labels, inside tf.data, a batch at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.read.calls import call_python
from alexnet.pipeline.read.decode import decode_images
from alexnet.pipeline.records.encode import LABEL
from alexnet.pipeline.records.storage import STORAGES, Storage
from alexnet.pipeline.records.tfrecord import read_varint, signed

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

# How a `jpeg` record begins: an Example's first entry is the label, its second holds
# the image. A byte below 128 is a length; a longer one has bytes above that before it.
_LENGTH = rb"[\x80-\xff]*[\x00-\x7f]"
JPEG_HEAD = re.compile(
    rb"\n%(n)s"
    rb"\n%(n)s\n\x11image/class/label\x12%(n)s\x1a%(n)s\n%(n)s(%(n)s)"
    rb"\n%(n)s\n\rimage/encoded\x12%(n)s\n%(n)s\n(%(n)s)" % {b"n": _LENGTH},
    re.DOTALL,
)


def records_from(
    path: tf.Tensor, first_byte: tf.Tensor, buffer_bytes: int
) -> tf.data.Dataset:
    """A file's records, string [], from one's first byte on, their checksums checked.

    `tf.data.TFRecordDataset` has no such option.
    """
    import tensorflow as tf

    stored = tf.raw_ops.TFRecordDatasetV2(
        filenames=path,
        compression_type="",
        buffer_size=buffer_bytes,
        byte_offsets=first_byte,
    )
    return tf.data.experimental.from_variant(stored, tf.TensorSpec([], tf.string))


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


def parse(records: tf.Tensor, storage: Storage) -> tuple[tf.Tensor, tf.Tensor]:
    """Stored image bytes, string, and labels, int64, of serialised records.

    `records` are string [batch] or one string []; so is what comes of them.
    """
    import tensorflow as tf

    features = tf.io.parse_example(
        records,
        {
            storage.image_key: tf.io.FixedLenFeature([], tf.string),
            LABEL: tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return features[storage.image_key], features[LABEL]


def decode(
    stored: tf.Tensor, config: BuildConfig, storage: Storage | None = None
) -> tf.Tensor:
    """uint8 [batch, side, side, 3] in [0, 255], or planes, of string [batch].

    Compressed images go to the decoder's threads as one group.

    Args:
        storage: what decodes an image, and to what shape; by default the config's.
    """
    import tensorflow as tf

    storage = storage or STORAGES[config.storage]
    shape = [*stored.shape, *storage.image_shape(config.side)]
    if storage.is_pixels:
        pixels = tf.io.decode_raw(stored, tf.uint8)
        return tf.ensure_shape(tf.reshape(pixels, [-1, *shape[1:]]), shape)

    def decode_group(images: np.ndarray) -> np.ndarray:
        name = "image {} of a batch".format
        return decode_images(len(images), images.__getitem__, name, config, storage)

    decoded = call_python(decode_group, [stored], tf.uint8)
    return tf.ensure_shape(decoded, shape)
