"""The resample of a served model is that of builds, to the last bit."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.model.results.resample import to_square
from alexnet.pipeline.config import Resize
from alexnet.pipeline.records import image

RNG = np.random.default_rng(7)
resizes = pytest.mark.parametrize("resize", get_args(Resize))


def noise(height: int, width: int) -> np.ndarray:
    """Pixels whose resample overshoots both ends of the scale."""
    return RNG.choice(np.array([0, 3, 128, 250, 255], np.uint8), (height, width, 3))


def require_builds(pixels: np.ndarray, side: int, resize: Resize) -> None:
    found = to_square(tf.constant(pixels), side, resize)
    expected = np.asarray(image.to_square(Image.fromarray(pixels), side, resize))
    np.testing.assert_array_equal(found, expected)


@resizes
def test_sizes_at_random(resize: Resize) -> None:
    for side in (8, 23, 72, 256):
        for height, width in np.exp(RNG.uniform(0, np.log(500), (8, 2))).astype(int):
            require_builds(noise(height, width), side, resize)


@resizes
@pytest.mark.parametrize(
    ("height", "width"),
    [
        (24, 24),  # as stored
        (24, 31),  # one direction alone
        (375, 500),
        (500, 375),
        (48, 49),  # the crop starts on half a pixel
        (1, 1),
        (1, 900),
        (301, 3),
    ],
)
def test_edges(height: int, width: int, resize: Resize) -> None:
    require_builds(noise(height, width), 24, resize)
