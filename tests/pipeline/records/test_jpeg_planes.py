"""Planes of JPEGs against Pillow, whose libjpeg scales the very same chroma up."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.pipeline.augment.augment import preprocess_batch
from alexnet.pipeline.config import AugmentConfig, BuildConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.records import turbojpeg
from alexnet.pipeline.records.image import yuv420_planes
from alexnet.pipeline.records.jpeg_planes import JPEG_PLANES
from tests.conftest import smooth_photo

SIDE = 32
LEVELS = AugmentConfig(geometry="centre", std=(1.0, 1.0, 1.0))

pytestmark = pytest.mark.usefixtures("libturbojpeg")


def noise(side: int) -> Image.Image:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels)


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def planes(data: bytes, side: int) -> np.ndarray:
    out = np.full(JPEG_PLANES.image_shape(side), 77, np.uint8)
    JPEG_PLANES.decode(data, out, BuildConfig(side=side))
    return out


def scaled_up(chroma: np.ndarray) -> np.ndarray:
    """Twice the side, as libjpeg's jdsample.c has it: 3 parts of the nearer sample."""
    padded = np.pad(chroma.astype(int), 1, "edge")
    near, above, below = padded[1:-1], padded[:-2], padded[2:]
    rows = np.stack([3 * near + above, 3 * near + below], 1)
    rows = rows.reshape(-1, padded.shape[1])
    near, left, right = rows[:, 1:-1], rows[:, :-2], rows[:, 2:]
    pairs = [(3 * near + left + 8) // 16, (3 * near + right + 7) // 16]
    return np.stack(pairs, 2).reshape(len(rows), -1)


@pytest.mark.parametrize("picture", [noise, lambda side: smooth_photo(1, side, side)])
@pytest.mark.parametrize("quality", [30, 90, 100])
@pytest.mark.parametrize("side", [8, 18, 32, 100])
def test_they_are_what_pillow_makes_its_pixels_of(
    side: int, quality: int, picture: Any
) -> None:
    data = jpeg(picture(side), quality=quality)
    opened = Image.open(io.BytesIO(data))
    opened.draft("YCbCr", opened.size)  # what libjpeg has before it converts colours
    luma, blue, red = np.moveaxis(np.asarray(opened), 2, 0)
    found = planes(data, side)
    np.testing.assert_array_equal(found[:side], luma)
    halves = found[side:].reshape(2, side // 2, side // 2)
    np.testing.assert_array_equal(scaled_up(halves[0]), blue)
    np.testing.assert_array_equal(scaled_up(halves[1]), red)


@pytest.mark.parametrize("side", [32, 100])
def test_the_device_makes_the_rgb_of_them_that_pillow_makes(side: int) -> None:
    pictures = [jpeg(noise(side)), jpeg(smooth_photo(1, side, side))]
    batch = np.stack([planes(data, side) for data in pictures])
    levels = preprocess_batch(tf.constant(batch), LEVELS, side).numpy()
    rgb = np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in pictures])
    # Which is cut off at 0 and 255 before it is rounded.
    off = np.abs(levels.clip(0, 255) - rgb)
    assert off.max() < 1.6 and off.mean() < 0.5


OTHERS = {
    "4:4:4": jpeg(noise(SIDE), subsampling="4:4:4"),
    "4:2:2": jpeg(noise(SIDE), subsampling="4:2:2"),
    "grey": jpeg(noise(SIDE).convert("L")),
    "stored as RGB": jpeg(noise(SIDE), keep_rgb=True),
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_other_jpegs_have_the_planes_of_their_pixels(data: bytes) -> None:
    rgb = Image.open(io.BytesIO(data)).convert("RGB")
    assert planes(data, SIDE).tobytes() == yuv420_planes(rgb)


@pytest.mark.parametrize("size", [(16, 16), (SIDE, 16), (48, 48), (SIDE, 48)])
def test_another_size_is_refused_and_nothing_written(size: tuple[int, int]) -> None:
    out = np.full(JPEG_PLANES.image_shape(SIDE), 77, np.uint8)
    told = f"{size[0]} x {size[1]} px, where {SIDE} are stored"
    with pytest.raises(ValueError, match=told):
        JPEG_PLANES.decode(jpeg(smooth_photo(1, *size)), out, BuildConfig(side=SIDE))
    assert (out == 77).all()


@pytest.mark.parametrize(
    "data", [b"", b"no photo", jpeg(noise(SIDE))[:-200], jpeg(noise(SIDE))[:100]]
)
def test_damage_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w{4}"):
        planes(data, SIDE)


def test_a_thread_goes_on_after_damage() -> None:
    good = jpeg(noise(SIDE))
    before = planes(good, SIDE)
    with pytest.raises(ValueError, match=r"\w{4}"):
        planes(good[:-200], SIDE)
    np.testing.assert_array_equal(planes(good, SIDE), before)


def test_threads_are_in_nobodys_way() -> None:
    pictures = [jpeg(smooth_photo(number, SIDE, SIDE)) for number in range(40)]
    alone = [planes(data, SIDE) for data in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda data: planes(data, SIDE), pictures)
        np.testing.assert_array_equal(list(together), alone)


@pytest.mark.parametrize("library", ["/no/such/library.so", "libc.so.6"])
def test_without_the_library_it_is_said_what_to_install(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(turbojpeg.LIBRARY_VARIABLE, library)
    turbojpeg.load_turbojpeg.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"needs libturbojpeg 2 .*libturbojpeg0"):
            turbojpeg.load_turbojpeg()
    finally:
        turbojpeg.load_turbojpeg.cache_clear()
