"""Keras's ImageDataGenerator as the article on cats and dogs sets it.

It is given the record set's own photos as files and times the article's whole input
path, decoding and augmentation in Python with one worker.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from alexnet.benchmarks.limits import JPEG_MAGIC, stored_photos
from alexnet.benchmarks.measure import Deliveries, Timing
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.inspect.contact_sheet import to_rgb_images
from alexnet.pipeline.read.opened_records import OpenedRecords

# The article's code.
SIDE = 227
BATCH_SIZE = 32
# Photos of a record set that are written out; more only delay the start.
MAX_PHOTOS = 2000
# Of stored pixels made into files: the default of `records build`.
PIXELS_QUALITY = 90


def plan_article(records: OpenedRecords) -> Timing:
    """The timing of the article's generator on a record set's train photos.

    Raises:
        ConfigError: what ImageDataGenerator needs is not installed.
    """
    require_article()
    return Timing("article", lambda: article(records))


def require_article() -> None:
    """Check that what ImageDataGenerator needs is installed.

    Raises:
        ConfigError: it is not.
    """
    missing = [
        name for name in ("pandas", "scipy") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            f"the article's generator needs {' and '.join(missing)}, which"
            " ImageDataGenerator uses: pip install 'alexnet[article]'"
        )


def article(records: OpenedRecords) -> Deliveries:
    """The article's generator on the first train photos, as files."""
    with TemporaryDirectory(prefix="alexnet-article-") as folder:
        files = write_photos(source_files(records, MAX_PHOTOS), Path(folder))
        for images, _ in article_generator(Path(folder), files):
            yield len(images)


def source_files(records: OpenedRecords, count: int) -> Iterator[tuple[bytes, int]]:
    """Image files and labels of the first train records; stored pixels become JPEGs."""
    storage = records.storage
    shape = storage.image_shape(records.manifest.config.side)
    for stored, label in stored_photos(records, count):
        if storage.is_pixels:
            yield _to_jpeg(np.frombuffer(stored, np.uint8).reshape(shape)), label
        else:
            yield stored, label


def _to_jpeg(pixels: np.ndarray) -> bytes:
    (image,) = to_rgb_images(pixels[None])
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=PIXELS_QUALITY)
    return encoded.getvalue()


def write_photos(
    photos: Iterable[tuple[bytes, int]], folder: Path
) -> list[tuple[str, str]]:
    """Write image files as they are stored; returns their names and classes."""
    files = []
    for number, (stored, label) in enumerate(photos):
        suffix = "jpg" if stored.startswith(JPEG_MAGIC) else "png"
        path = folder / f"{label}.{number}.{suffix}"
        path.write_bytes(stored)
        files.append((path.name, str(label)))
    return files


def article_generator(folder: Path, files: list[tuple[str, str]]) -> Any:
    """float32 [32, 227, 227, 3] in [0, 1] and one-hot labels, without end."""
    import pandas

    settings = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=30,
        width_shift_range=0.3,
        height_shift_range=0.3,
        shear_range=0.2,
        zoom_range=[0.8, 1.5],
        horizontal_flip=True,
        vertical_flip=True,
        fill_mode="nearest",
        rescale=1 / 255,
    )
    # Keras prints the number of its files to stdout, which belongs to the report.
    with contextlib.redirect_stdout(sys.stderr):
        return settings.flow_from_dataframe(
            pandas.DataFrame(files, columns=["filename", "category"]),
            str(folder),
            x_col="filename",
            y_col="category",
            target_size=(SIDE, SIDE),
            class_mode="categorical",
            batch_size=BATCH_SIZE,
        )
