"""Photos from a DataLoader, for `torch_step`; imports nothing of alexnet."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

from alexnet.benchmarks.scripts.gpu.torch_network import SIDE

# Epochs that follow one another without a pause.
MANY_EPOCHS = 10_000


class Photos(Dataset):
    """JPEGs called `<label>.<number>.jpg`, decoded by Pillow, cropped anywhere."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.jpg"))
        if not self.files:
            sys.exit(
                f"no JPEGs in {folder}:"
                " `python -m alexnet.benchmarks.scripts.gpu.photos` writes some"
            )
        names = sorted({self._name(file) for file in self.files})
        self.labels = [names.index(self._name(file)) for file in self.files]

    @staticmethod
    def _name(file: Path) -> str:
        return file.name.partition(".")[0]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        import numpy as np
        from PIL import Image

        with Image.open(self.files[index]) as image:
            left, top = (random.randint(0, side - SIDE) for side in image.size)
            crop = image.convert("RGB").crop((left, top, left + SIDE, top + SIDE))
        return torch.from_numpy(np.array(crop)), self.labels[index]


def batches(folder: Path, batch_size: int, workers: int, device: str) -> Iterator[Any]:
    """uint8 [batch, 3, 227, 227] in channels_last and labels, on the device."""
    photos = Photos(folder)
    loader = DataLoader(
        photos,
        batch_size=batch_size,
        sampler=RandomSampler(photos, num_samples=MANY_EPOCHS * len(photos)),
        num_workers=workers,
        drop_last=True,
        pin_memory=device == "cuda",
        prefetch_factor=4,
    )
    for images, labels in loader:
        # Rows of pixels with the channels last: another view of the same bytes.
        images = images.to(device, non_blocking=True).permute(0, 3, 1, 2)
        yield images, labels.to(device, non_blocking=True)
