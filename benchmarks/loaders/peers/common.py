"""What every peer script does alike: its arguments, its photos, and counting batches.

A peer runs in an environment of its own and imports nothing of alexnet. It prints the
number of images of every batch, until nobody reads them any more.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Epochs that follow one another without a pause, where a loader has no endless mode:
# the photos are few, and starting an epoch should weigh as little as with many.
MANY_EPOCHS = 250


@dataclass(frozen=True)
class Task:
    """Batches of `batch_size` of the square JPEGs in `folder`, by `workers` at a time.

    Files are called `<label>.<number>.jpg`; what a loader makes of them in advance goes
    into the folder as well, and is there when it is started again.
    """

    peer: str
    folder: Path
    side: int
    batch_size: int
    workers: int

    @property
    def files(self) -> list[Path]:
        """The photos, in one order on every machine."""
        return sorted(self.folder.glob("*.jpg"))

    @property
    def batch_shape(self) -> tuple[int, int, int, int]:
        """What a batch's shape has to be."""
        return (self.batch_size, self.side, self.side, 3)


def label_of(file: Path) -> int:
    """The class that the photo's name begins with."""
    return int(file.name.partition(".")[0])


def deliver(batches: Callable[[Task], Iterator[Any]]) -> None:
    """Print the number of images in each of the task's batches, without end."""
    # Counts go where stdout went; what a library prints is sent to stderr.
    counts = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    task = _arguments()
    try:
        for images in batches(task):
            _check(images, task)
            os.write(counts, f"{len(images)}\n".encode())
    except BrokenPipeError:
        return
    raise RuntimeError("the batches came to an end")


def _check(images: Any, task: Task) -> None:
    """Refuse other batches than uint8 ones of the task's shape."""
    found = (str(images.dtype).removeprefix("torch."), tuple(images.shape))
    if found != ("uint8", task.batch_shape):
        raise RuntimeError(f"a batch is {found}, not uint8 {task.batch_shape}")
    # A byte of every image is read, so that none of them is still to be made.
    images[:, -1, -1, -1].sum()


def _arguments() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    return Task(**vars(parser.parse_args()))
