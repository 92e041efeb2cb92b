"""MosaicML Streaming: shards of JPEGs on this machine, through PyTorch's DataLoader."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from common import MANY_EPOCHS, Files, Task, deliver, images_of
from torch_loader import decode_batch, make_loader

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

    def convert(folder: Path) -> None:
        columns = {"image": "bytes", "label": "int"}
        with MDSWriter(out=str(folder), columns=columns) as shards:
            for image, label in map(Files(task).__getitem__, range(len(task.files))):
                shards.write({"image": image, "label": label})

    def collate(photos: Sequence[dict[str, Any]]) -> tuple[Any, Any]:
        pairs = ((photo["image"], photo["label"]) for photo in photos)
        images, labels = decode_batch(pairs, task.batch_shape)
        return images, labels

    folder = task.converted("mds", convert)
    dataset = StreamingDataset(
        streams=[Stream(local=str(folder), repeat=MANY_EPOCHS)],
        shuffle=True,
        batch_size=task.batch_size,
    )
    yield from images_of(make_loader(dataset, task, collate))


if __name__ == "__main__":
    deliver(batches)
