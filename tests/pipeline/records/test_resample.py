"""Resampling: both ways the same to the bit, and as near to the truth as Pillow's."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from alexnet.pipeline.records import resample as module
from alexnet.pipeline.records.resample import Box, by_numpy, resample
from tests.conftest import smooth_photo

cykooz_resizer = pytest.importorskip("cykooz_resizer")
SIZES = [
    *((375, 500), (500, 375), (1, 1), (1, 900), (900, 1), (301, 3), (24, 24), (48, 49)),
    *np.exp(np.random.default_rng(3).uniform(0, 6, (8, 2))).astype(int).tolist(),
]


def noise(height: int, width: int) -> Image.Image:
    """Pixels whose resample overshoots both ends of the scale."""
    draw = np.random.default_rng(height * width)
    levels = np.array([0, 3, 128, 250, 255], np.uint8)
    return Image.fromarray(draw.choice(levels, (height, width, 3)))


def boxes(image: Image.Image) -> list[Box]:
    """All of the image, and the square in its middle."""
    width, height = image.size
    side = min(image.size)
    return [
        (0.0, 0.0, width, height),
        ((width - side) / 2, (height - side) / 2, side, side),
    ]


def require_same(one: Image.Image, other: Image.Image) -> None:
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("side", [8, 24, 227, 256])
def test_numpy_and_vector_instructions_agree_to_the_bit(side: int) -> None:
    for height, width in SIZES:
        image = noise(height, width)
        for box in boxes(image):
            require_same(resample(image, side, box), by_numpy(image, side, box))


@pytest.mark.parametrize("instructions", ["none", "sse4_1", "avx2", "neon"])
def test_every_cpu_makes_the_same(
    instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU without the asked instructions uses the best it has."""
    resizer = cykooz_resizer.Resizer()
    resizer.cpu_extensions = cykooz_resizer.CpuExtensions[instructions]
    monkeypatch.setattr(module._resizers, "own", resizer, raising=False)
    for image in (noise(375, 500), noise(100, 131)):
        for box in boxes(image):
            require_same(resample(image, 224, box), by_numpy(image, 224, box))


@pytest.mark.parametrize(("width", "height"), [(500, 375), (150, 200), (1000, 301)])
def test_it_is_as_near_to_the_exact_resample_as_pillows(
    width: int, height: int
) -> None:
    image, side = smooth_photo(4, width, height), 128
    for box in boxes(image):
        exact = exact_resample(np.asarray(image, float), side, box)
        (left, top, across, down), size = box, (side, side)
        corners = (left, top, left + across, top + down)
        pillows = image.resize(size, Image.Resampling.BICUBIC, corners)
        ours = np.abs(np.asarray(resample(image, side, box)) - exact)
        theirs = np.abs(np.asarray(pillows) - exact)
        # Each is rounded twice.
        assert ours.max() < 1.6
        assert ours.mean() <= theirs.mean() * 1.05


def exact_resample(levels: np.ndarray, side: int, box: Box) -> np.ndarray:
    """Keys's kernel of 1981, a = -0.5, stretched to the scale, in double precision."""
    left, top, width, height = box
    rows = kernel(levels.shape[0], top, height, side)
    columns = kernel(levels.shape[1], left, width, side)
    made = np.einsum("rh,cw,hwk->rck", rows, columns, levels, optimize=True)
    return np.clip(made, 0, 255)


def kernel(size: int, start: float, length: float, side: int) -> np.ndarray:
    scale = length / side
    x = np.arange(size) + 0.5 - start - (np.arange(side)[:, None] + 0.5) * scale
    x = np.abs(x) / max(scale, 1)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x < 2, far, 0))
    return weights / weights.sum(1, keepdims=True)


def test_without_the_wheel_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    image, side = noise(40, 60), 24
    box = boxes(image)[1]
    expected = resample(image, side, box)
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    by_numpy = Mock(wraps=module.by_numpy)
    monkeypatch.setattr(module, "by_numpy", by_numpy)
    require_same(resample(image, side, box), expected)
    by_numpy.assert_called_once_with(image, side, box)


def test_threads_have_resizers_of_their_own() -> None:
    images = [noise(60, 80 + number) for number in range(16)]

    def middle(image: Image.Image) -> Image.Image:
        return resample(image, 32, boxes(image)[1])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(middle, images))
    for image, made in zip(images, found, strict=True):
        require_same(made, by_numpy(image, 32, boxes(image)[1]))
