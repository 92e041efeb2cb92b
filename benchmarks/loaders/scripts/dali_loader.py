"""NVIDIA DALI on the CPU, over image files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from common import Task, deliver, label_of
from nvidia.dali import fn, pipeline_def


@pipeline_def
def read_and_decode(task: Task) -> Any:
    """Shuffled photos, uint8 [side, side, 3], and their labels, without end."""
    encoded, labels = fn.readers.file(
        files=[str(file) for file in task.files],
        labels=[label_of(file) for file in task.files],
        random_shuffle=True,
    )
    return fn.decoders.image(encoded, device="cpu"), labels


def batches(task: Task) -> Iterator[Any]:
    """The pipeline's batches, uint8 [batch, side, side, 3]."""
    pipeline = read_and_decode(
        task, batch_size=task.batch_size, num_threads=task.workers, device_id=None
    )
    pipeline.build()
    while True:
        images, _ = pipeline.run()
        # A view: `as_array` would copy.
        yield np.asarray(images.as_tensor())


if __name__ == "__main__":
    deliver(batches)
