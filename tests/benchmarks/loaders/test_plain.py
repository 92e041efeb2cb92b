"""Plain tf.data yields what the records hold, against an independent decoder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.benchmarks.limits import stored_photos
from alexnet.benchmarks.loaders.plain import plain_dataset, plan_plain
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.read.opened_records import open_records

SHAPES: list[tuple[StorageName, tuple[int, ...]]] = [
    ("jpeg", (16, 16, 3)),
    ("raw", (16, 16, 3)),
    ("yuv420", (24, 16)),
    ("original", (16, 16, 3)),
]


@pytest.mark.parametrize(("storage", "shape"), SHAPES)
def test_batches_have_the_shape_of_the_pipelines(
    record_sets: dict[StorageName, Path], storage: StorageName, shape: tuple[int, ...]
) -> None:
    dataset = plain_dataset(open_records(record_sets[storage]), 6)
    images, labels = next(iter(dataset))
    assert images.shape == (6, *shape)
    assert labels.shape == (6,)
    assert set(labels.numpy()) <= {0, 1}


@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_pixels_are_the_stored_bytes(
    record_sets: dict[StorageName, Path], storage: StorageName
) -> None:
    """An epoch of 18 examples, shuffled: the same pictures with their labels."""
    records = open_records(record_sets[storage])
    found = {
        (image.tobytes(), int(label))
        for images, labels in plain_dataset(records, 6).take(3)
        for image, label in zip(images.numpy(), labels, strict=True)
    }
    assert found == set(stored_photos(records, 18))


def test_jpegs_are_decoded_to_pillows_pixels(
    record_sets: dict[StorageName, Path],
) -> None:
    """Every picture is one that is stored; others differ by 200 levels somewhere."""
    records = open_records(record_sets["jpeg"])
    stored = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(file)), int)
            for file, _ in stored_photos(records, 18)
        ]
    )
    images, _ = next(iter(plain_dataset(records, 6)))
    for image in images.numpy():
        assert np.abs(stored - image).max(axis=(1, 2, 3)).min() <= 8


def test_deliveries_go_on_after_an_epoch(record_sets: dict[StorageName, Path]) -> None:
    deliveries = plan_plain(open_records(record_sets["jpeg"]), 6).start()
    assert [next(deliveries) for _ in range(7)] == [6] * 7
    deliveries.close()
