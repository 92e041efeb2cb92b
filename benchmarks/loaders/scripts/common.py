"""The common parts of the loaders' scripts: arguments, photos, counting batches.

A loader runs in an environment of its own and imports nothing of alexnet. It prints the
number of images of every batch, until nobody reads them any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
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

    loader: str
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
        """The shape that a batch has to have."""
        return (self.batch_size, self.side, self.side, 3)

    def converted(self, name: str, convert: Callable[[Path], None]) -> Path:
        """The photos as a file or folder of another format, which is written once."""
        path, unfinished = self.folder / name, self.folder / f"{name}.unfinished"
        if not path.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            convert(unfinished)
            unfinished.rename(path)
        return path


def label_of(file: Path) -> int:
    """The class that the photo's name begins with."""
    return int(file.name.partition(".")[0])


class Files:
    """A sequence of each photo's bytes and label."""

    def __init__(self, task: Task) -> None:
        self.paths = [str(file) for file in task.files]
        self.labels = [label_of(file) for file in task.files]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Path(self.paths[index]).read_bytes(), self.labels[index]


def images_of(loader: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
    """The images of a loader's batches, epoch after epoch."""
    while True:
        for images, _ in loader:
            yield images


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
    kind = (str(images.dtype).removeprefix("torch."), tuple(images.shape))
    if kind != ("uint8", task.batch_shape):
        raise RuntimeError(f"a batch is {kind}, not uint8 {task.batch_shape}")
    # A byte of every image is read, so that none of them is still to be made.
    images[:, -1, -1, -1].sum()


def _arguments() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--loader", required=True)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    return Task(**vars(parser.parse_args()))
