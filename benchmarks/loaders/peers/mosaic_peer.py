"""MosaicML Streaming: shards of JPEGs on this machine, through PyTorch's DataLoader."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from collation import decode_batch
from common import MANY_EPOCHS, Task, deliver, label_of
from torch.utils.data import DataLoader

# Streaming imports these for text and ready-made data sets, none of which is used here.
# The real ones weigh several times what it does, and torchvision must fit the build of
# torch to the letter.
UNUSED = {
    "torchvision.datasets": "VisionDataset",
    "torchvision.transforms.functional": "to_tensor",
    "transformers.feature_extraction_utils": "BatchFeature",
    "transformers.models.auto.tokenization_auto": "AutoTokenizer",
    "transformers.tokenization_utils_base": "BatchEncoding",
}
for module, name in UNUSED.items():
    sys.modules[module] = ModuleType(module)
    setattr(sys.modules[module], name, type(name, (), {}))

from streaming import MDSWriter, Stream, StreamingDataset  # noqa: E402


def batches(task: Task) -> Iterator[Any]:
    """The loader's batches, uint8 [batch, side, side, 3]."""
    # It leaves locks of its own there.
    tempfile.tempdir = str(task.folder)
    dataset = StreamingDataset(
        streams=[Stream(local=str(_converted(task)), repeat=MANY_EPOCHS)],
        shuffle=True,
        batch_size=task.batch_size,
    )
    loader = DataLoader(
        dataset,
        batch_size=task.batch_size,
        num_workers=task.workers,
        collate_fn=partial(_collate, task.batch_shape),
        drop_last=True,
        persistent_workers=True,
    )
    while True:
        for images, _ in loader:
            yield images


def _collate(
    shape: tuple[int, int, int, int], photos: Sequence[dict[str, Any]]
) -> tuple[Any, Any]:
    pairs = ((photo["image"], photo["label"]) for photo in photos)
    images, labels = decode_batch(pairs, shape)
    return images, labels


def _converted(task: Task) -> Path:
    """The photos as a folder of MDS shards, which is written once."""
    folder: Path = task.folder / "mds"
    if not folder.exists():
        unfinished = task.folder / "mds.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        with MDSWriter(
            out=str(unfinished), columns={"image": "bytes", "label": "int"}
        ) as shards:
            for file in task.files:
                shards.write({"image": file.read_bytes(), "label": label_of(file)})
        unfinished.rename(folder)
    return folder


if __name__ == "__main__":
    deliver(batches)
