"""FFCV over a .beton file of JPEGs or of raw pixels, kept in the page cache.

Photos are of one size, so its plainest decoder serves. It stores JPEGs anew, at the
quality that alexnet's records have as well.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import MANY_EPOCHS, Files, Task, deliver, images_of
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import SimpleRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import ToTensor
from ffcv.writer import DatasetWriter
from PIL import Image

WRITE_MODES = {"ffcv-jpeg": "jpg", "ffcv-raw": "raw"}


class Photos(Files):
    """A sequence of each photo and its label, as FFCV converts them."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        encoded, label = super().__getitem__(index)
        return Image.open(io.BytesIO(encoded)).convert("RGB"), label


def batches(task: Task) -> Iterator[Any]:
    """The loader's batches, uint8 [batch, side, side, 3]."""

    def convert(path: Path) -> None:
        mode = WRITE_MODES[task.loader]
        image = RGBImageField(write_mode=mode, jpeg_quality=90)
        fields = {"image": image, "label": IntField()}
        writer = DatasetWriter(str(path), fields, num_workers=task.workers)
        writer.from_indexed_dataset(Photos(task))

    num_photos = len(task.files)
    loader = Loader(
        str(task.converted(f"{task.loader}.beton", convert)),
        batch_size=task.batch_size,
        num_workers=task.workers,
        os_cache=True,
        order=OrderOption.RANDOM,
        indices=np.tile(np.arange(num_photos, dtype=np.uint64), MANY_EPOCHS),
        pipelines={
            "image": [SimpleRGBImageDecoder(), ToTensor()],
            "label": [IntDecoder(), ToTensor()],
        },
        drop_last=True,
    )
    yield from images_of(loader)


if __name__ == "__main__":
    deliver(batches)
