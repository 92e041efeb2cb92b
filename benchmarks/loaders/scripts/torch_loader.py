"""PyTorch's DataLoader over image files, with Pillow or with simplejpeg.

`torch-pillow` is what most people write: a photo decoded at a time, default collation.
`torch-simplejpeg` is as fast as a DataLoader gets: files are collated to a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import simplejpeg
import torch
from common import MANY_EPOCHS, Files, Task, deliver, images_of
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Photos(Files):
    """A sequence of each photo, decoded by Pillow, and its label."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        with Image.open(self.paths[index]) as image:
            return np.array(image.convert("RGB")), self.labels[index]


def batches(task: Task) -> Iterator[Any]:
    """The loader's batches, uint8 [batch, side, side, 3]."""
    if task.loader == "torch-pillow":
        photos, collate = Photos(task), None
    else:
        photos, collate = Files(task), partial(decode_batch, shape=task.batch_shape)
    sampler = RandomSampler(photos, num_samples=MANY_EPOCHS * len(photos))
    yield from images_of(make_loader(photos, task, collate, sampler=sampler))


def make_loader(
    dataset: Files | Dataset, task: Task, collate: Any, **order: Any
) -> DataLoader:
    """Whole batches from workers that stay."""
    return DataLoader(
        dataset,
        batch_size=task.batch_size,
        num_workers=task.workers,
        collate_fn=collate,
        drop_last=True,
        persistent_workers=True,
        **order,
    )


def decode_batch(
    photos: Iterable[tuple[bytes, int]], shape: tuple[int, int, int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 images of `shape` and int64 labels, decoded where the batch will travel."""
    encoded, labels = zip(*photos, strict=True)
    images = _shared_tensor(shape)
    for jpeg, pixels in zip(encoded, images.numpy(), strict=True):
        simplejpeg.decode_jpeg(jpeg, "RGB", buffer=pixels)
    return images, torch.tensor(labels)


def _shared_tensor(shape: tuple[int, ...]) -> torch.Tensor:
    """An uninitialised uint8 tensor in shared memory, made as `default_collate` does.

    A worker's tensor is copied there anyway, on its way to the main process.
    """
    empty = torch.empty(0, dtype=torch.uint8)
    storage = empty.untyped_storage()._new_shared(torch.Size(shape).numel())
    return empty.set_(storage).view(shape)


if __name__ == "__main__":
    deliver(batches)
