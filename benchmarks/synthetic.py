"""Drawn pictures of shapes: the image set of the demo and of tests, not photographs.

One circle, square or triangle a picture, at a random place, size, turn and colour on a
noisy gradient. Equal areas and free colours leave the outline alone to tell the classes
apart. It is a source, from before the records.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from alexnet.pipeline.setting import require

# Corners of the regular polygon that draws a class.
SHAPES = {"circle": 60, "square": 4, "triangle": 3}
# The shape's share of the picture's area.
AREA = (0.12, 0.3)
# At least this far from the background's middle in every channel, of 256 levels.
CONTRAST = 80
GRADIENT = 40
NOISE_STD = 8.0
# Masks are drawn this much larger and scaled down, for smooth edges.
SUPERSAMPLING = 2


def write_shapes(
    folder: Path, num_images: int, size: int = 192, seed: int = 21
) -> None:
    """Write JPEGs of `size` by `size` pixels named like `circle.12.jpg`.

    The classes take turns; a picture is a function of the seed and its number alone, so
    a larger set begins with the smaller one.

    Raises:
        ConfigError: there is nothing to write, or pictures are too small to tell apart.
    """
    require(num_images >= 1, "num_images", num_images, "1 or more")
    require(size >= 16, "size", size, "16 pixels or more")
    folder.mkdir(parents=True, exist_ok=True)
    names = list(SHAPES)
    for index in range(num_images):
        number, turn = divmod(index, len(names))
        image = draw_shape(names[turn], size, np.random.default_rng([seed, index]))
        image.save(folder / f"{names[turn]}.{number}.jpg", quality=90)


def draw_shape(name: str, size: int, rng: np.random.Generator) -> Image.Image:
    """An RGB picture of the shape on its background."""
    middle = rng.integers(0, 256, 3).astype(np.float32)
    color = (middle + rng.integers(CONTRAST, 257 - CONTRAST, 3)) % 256
    background = middle + _gradient(size, rng)
    inside = _mask(SHAPES[name], size, rng)
    pixels = background + inside * (color - background)
    noise = NOISE_STD * rng.standard_normal((size, size, 1), np.float32)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _gradient(size: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [size, size, 3]: a slope for each channel, in a direction of its own."""
    slopes = rng.uniform(-GRADIENT, GRADIENT, (2, 3)).astype(np.float32)
    across = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = across[None, :, None], across[:, None, None]
    return np.asarray(x * slopes[0] + y * slopes[1])


def _mask(corners: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [size, size, 1]: 1 inside a polygon within the picture, 0 outside."""
    # The area of a regular polygon is corners / 2 * radius^2 * sin(2 pi / corners).
    turn = 2 * math.pi / corners
    radius = math.sqrt(rng.uniform(*AREA) * 2 / (corners * math.sin(turn)))
    x, y = rng.uniform(radius, 1 - radius, 2)
    start = rng.uniform(0, 2 * math.pi)
    large = size * SUPERSAMPLING
    mask = Image.new("L", (large, large))
    points = [
        (
            large * (x + radius * math.cos(start + corner * turn)),
            large * (y + radius * math.sin(start + corner * turn)),
        )
        for corner in range(corners)
    ]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    return np.asarray(mask.reduce(SUPERSAMPLING), np.float32)[:, :, None] / 255
