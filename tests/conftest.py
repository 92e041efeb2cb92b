"""What the tests share: a small photo folder, and a record set of it per storage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

# Before any test module imports TensorFlow; no device is initialised here, because
# some tests split the CPU into logical devices.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("TF_CONFIG", None)

import numpy as np
import pytest
from PIL import Image

from pipeline.build import build
from pipeline.config import BuildConfig, Storage
from pipeline.folder import scan

NUM_PHOTOS = 24
SIDE = 16


def smooth_photo(number: int, width: int, height: int) -> Image.Image:
    """An RGB picture without sharp edges; equal numbers give equal pictures."""
    coarse = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: 12 JPEGs each of cat and dog, in different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(NUM_PHOTOS):
        path = folder / ("cat", "dog")[number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        width, height = 24 + 3 * (number % 7), 24 + 4 * (number % 5)
        smooth_photo(number, width, height).save(path, quality=95)
    return folder


@pytest.fixture(scope="session")
def record_sets(
    photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Storage, Path]:
    """A record set of `photos` per storage: 18 examples in 3 shards, 6 held out."""
    folder = tmp_path_factory.mktemp("records")
    source = scan(photos)
    for storage in get_args(Storage):
        config = BuildConfig(storage, side=SIDE, shards=3)
        build(source, folder / storage, config, workers=1)
    return {storage: folder / storage for storage in get_args(Storage)}
