"""FFCV over a .beton file of JPEGs or of raw pixels, kept in the page cache.

Photos are of one size, so its plainest decoder serves. It stores JPEGs anew, at the
quality that alexnet's records have as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import MANY_EPOCHS, Task, deliver, label_of
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import SimpleRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import ToTensor
from ffcv.writer import DatasetWriter
from PIL import Image

WRITE_MODES = {"ffcv-jpeg": "jpg", "ffcv-raw": "raw"}


class Photos:
    """What FFCV converts: a photo and its label at a time."""

    def __init__(self, task: Task) -> None:
        self.files = task.files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        file = self.files[index]
        return Image.open(file).convert("RGB"), label_of(file)


def batches(task: Task) -> Iterator[Any]:
    """The loader's batches, uint8 [batch, side, side, 3]."""
    num_photos = len(task.files)
    loader = Loader(
        str(_converted(task)),
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
    while True:
        for images, _ in loader:
            yield images


def _converted(task: Task) -> Path:
    """The photos as a .beton file, which is written once."""
    path: Path = task.folder / "photos.beton"
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        image = RGBImageField(write_mode=WRITE_MODES[task.peer], jpeg_quality=90)
        fields = {"image": image, "label": IntField()}
        writer = DatasetWriter(str(unfinished), fields, num_workers=task.workers)
        writer.from_indexed_dataset(Photos(task))
        unfinished.rename(path)
    return path


if __name__ == "__main__":
    deliver(batches)
