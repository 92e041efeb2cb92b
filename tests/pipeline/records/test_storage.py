"""Storages: what comes out of each is what Pillow sees of the photo that went in."""

from __future__ import annotations

import io
from typing import get_args

import numpy as np
import pytest

from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.records.image import rgb_from_planes
from alexnet.pipeline.records.storage import STORAGES
from tests.conftest import SIDE, smooth_photo

# Levels that a storage may be off, at most and on average.
LOSS: dict[StorageName, tuple[float, float]] = {
    "jpeg": (64, 8),
    "raw": (0, 0),
    "yuv420": (48, 8),
    "original": (0, 0),
}


def test_every_name_has_a_storage() -> None:
    assert {name: storage.name for name, storage in STORAGES.items()} == {
        name: name for name in get_args(StorageName)
    }


@pytest.mark.parametrize("name", get_args(StorageName))
def test_what_was_stored_comes_out(name: StorageName) -> None:
    photo = smooth_photo(3, SIDE, SIDE)
    data = io.BytesIO()
    photo.save(data, "PNG")
    storage, config = STORAGES[name], BuildConfig(storage=name, side=SIDE)
    stored, _ = storage.encode(
        data.getvalue(), *storage.read(data.getvalue(), "a.png", config), config
    )
    out = np.empty(storage.image_shape(SIDE), np.uint8)
    storage.decode(stored, out, config)
    assert storage.pixel_bytes(SIDE) == out.nbytes
    shown = rgb_from_planes(out.tobytes(), SIDE) if name == "yuv420" else out
    off = np.abs(np.asarray(photo, float) - np.asarray(shown, float))
    most, mean = LOSS[name]
    assert off.max() <= most and off.mean() <= mean
