"""JPEGs to a batch of a PyTorch DataLoader, as fast as its workers can do it."""

from __future__ import annotations

from collections.abc import Iterable

import simplejpeg
import torch


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
