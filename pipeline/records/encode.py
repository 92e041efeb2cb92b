"""A photo's file -> a serialised record, as the storage has it.

It runs in the build's workers, on Pillow, without TensorFlow. Feature keys are the
ImageNet lineage's.
"""

from __future__ import annotations

from typing import NamedTuple

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.records.fixed_layout import Layout, encode_fixed
from alexnet.pipeline.records.image import SOURCE_SIZE, pixel_digest
from alexnet.pipeline.records.storage import STORAGES
from alexnet.pipeline.records.tfrecord import encode_example

LABEL = "image/class/label"
FILENAME = "image/filename"


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
    storage = STORAGES[config.storage]
    photo, shown = storage.read(data, key, config)
    image, image_format = storage.encode(data, photo, shown, config)
    if layout is not None:
        record = encode_fixed(label, name, file_name, image, config, layout)
    else:
        record = encode_example(
            {
                LABEL: label,
                storage.image_key: image,
                "image/format": image_format,
                "image/height": shown.height,
                "image/width": shown.width,
                "image/channels": 3,
                "image/colorspace": storage.colorspace,
                "image/class/text": name,
                FILENAME: file_name,
            }
        )
    digest = pixel_digest(shown.tobytes(), shown.width)
    return Encoded(record, digest, *photo.info[SOURCE_SIZE])
