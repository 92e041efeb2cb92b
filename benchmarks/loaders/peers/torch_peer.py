"""PyTorch's DataLoader over image files, with Pillow or with simplejpeg.

`torch-pillow` is what most people write: a photo decoded at a time, default collation.
`torch-simplejpeg` is as fast as a DataLoader gets: files are collated to a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from collation import decode_batch
from common import MANY_EPOCHS, Task, deliver, label_of
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Files(Dataset):
    """A photo's bytes and its label at a time."""

    def __init__(self, task: Task) -> None:
        self.paths = [str(file) for file in task.files]
        self.labels = [label_of(file) for file in task.files]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Path(self.paths[index]).read_bytes(), self.labels[index]


class Photos(Files):
    """A photo, decoded by Pillow, and its label at a time."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        with Image.open(self.paths[index]) as image:
            return np.array(image.convert("RGB")), self.labels[index]


def batches(task: Task) -> Iterator[Any]:
    """The loader's batches, uint8 [batch, side, side, 3]."""
    if task.peer == "torch-pillow":
        photos, collate = Photos(task), None
    else:
        photos, collate = Files(task), partial(decode_batch, shape=task.batch_shape)
    loader = DataLoader(
        photos,
        batch_size=task.batch_size,
        sampler=RandomSampler(photos, num_samples=MANY_EPOCHS * len(photos)),
        num_workers=task.workers,
        collate_fn=collate,
        drop_last=True,
        persistent_workers=True,
    )
    while True:
        for images, _ in loader:
            yield images


if __name__ == "__main__":
    deliver(batches)
