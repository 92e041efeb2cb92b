"""FFCV over a .beton file of JPEGs or of raw pixels, kept in the page cache.

Photos are of one size, so its plainest decoder serves. It encodes JPEGs anew, at the
quality that alexnet's records have as well; as `ffcv-same-jpeg` it keeps the records'.
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
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import ToTensor
from ffcv.writer import DatasetWriter
from PIL import Image

WRITE_MODES = {"ffcv-jpeg": "jpg", "ffcv-raw": "raw"}


class SameJpegField(RGBImageField):
    """An image field that is given JPEGs of `side`, and holds their very bytes."""

    def __init__(self, side: int) -> None:
        super().__init__(write_mode="jpg")
        self.side = side

    def encode(self, destination: Any, image: bytes, malloc: Any) -> None:
        """Store a JPEG as it is."""
        jpeg = np.frombuffer(image, np.uint8)
        destination["mode"] = IMAGE_MODES["jpg"]
        destination["height"] = destination["width"] = self.side
        destination["data_ptr"], storage = malloc(jpeg.nbytes)
        storage[:] = jpeg


class Photos(Files):
    """A sequence of each photo and its label, as FFCV converts them."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        encoded, label = super().__getitem__(index)
        return Image.open(io.BytesIO(encoded)).convert("RGB"), label


def batches(task: Task) -> Iterator[Any]:
    """The loader's batches, uint8 [batch, side, side, 3]."""

    def convert(path: Path) -> None:
        if mode := WRITE_MODES.get(task.loader):
            image = RGBImageField(write_mode=mode, jpeg_quality=90)
            photos: Files = Photos(task)
        else:
            image, photos = SameJpegField(task.side), Files(task)
        fields = {"image": image, "label": IntField()}
        writer = DatasetWriter(str(path), fields, num_workers=task.workers)
        writer.from_indexed_dataset(photos)

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
        # Of a field that FFCV does not know by its type.
        custom_fields={"image": RGBImageField},
    )
    yield from images_of(loader)


if __name__ == "__main__":
    deliver(batches)
