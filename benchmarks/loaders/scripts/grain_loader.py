"""Google's Grain over image files, decoded by simplejpeg into the batch itself.

Its reading threads are the workers: they decode at once, because simplejpeg frees the
interpreter's lock, and copy nothing from process to process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np
import simplejpeg
from common import Files, Task, deliver, images_of


def batches(task: Task) -> Iterator[Any]:
    """The data set's batches, uint8 [batch, side, side, 3]."""

    def decode(photos: Sequence[tuple[bytes, int]]) -> tuple[np.ndarray, np.ndarray]:
        images = np.empty(task.batch_shape, np.uint8)
        for (encoded, _), pixels in zip(photos, images, strict=True):
            simplejpeg.decode_jpeg(encoded, "RGB", buffer=pixels)
        return images, np.array([label for _, label in photos])

    order = grain.MapDataset.source(Files(task)).shuffle(seed=0).repeat()
    dataset = order.batch(task.batch_size, drop_remainder=True, batch_fn=decode)
    threads = grain.ReadOptions(
        num_threads=task.workers, prefetch_buffer_size=2 * task.workers
    )
    yield from images_of(dataset.to_iter_dataset(threads))


if __name__ == "__main__":
    deliver(batches)
