"""Batches of decoded images, each held against Pillow's own decoding."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import alexnet.pipeline.read.decode
from alexnet.pipeline.config import BuildConfig, Resize
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.decode import decode_images, empty_batch
from alexnet.pipeline.records.image import read_image, to_square
from tests.conftest import smooth_photo

SIDE = 24


def file_of(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def noise(number: int, side: int = SIDE) -> Image.Image:
    """What compresses worst, with every coefficient in use."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels)


def decoded(images: list[Any], config: BuildConfig) -> np.ndarray:
    return decode_images(
        len(images), images.__getitem__, lambda place: f"photo {place}", config
    )


def pillows(images: list[bytes]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in images])


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_every_image_comes_at_its_place(count: int) -> None:
    images = [file_of(noise(number), "JPEG") for number in range(count)]
    found = decoded(images, BuildConfig(side=SIDE))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pillows(images))


def test_no_images_are_an_empty_batch() -> None:
    assert decoded([], BuildConfig(side=SIDE)).shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize("side", [8, 17, 24, 65])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [30, 90, 100])
def test_stored_jpegs_are_decoded_bit_for_bit_as_pillow_does(
    side: int, subsampling: str, quality: int
) -> None:
    pictures = [noise(1, side), smooth_photo(2, side, side)]
    options = {"quality": quality, "subsampling": subsampling}
    images = [file_of(picture, "JPEG", **options) for picture in pictures]
    np.testing.assert_array_equal(
        decoded(images, BuildConfig(side=side)), pillows(images)
    )


def test_images_are_read_where_they_lie() -> None:
    images = [file_of(noise(number), "JPEG") for number in range(3)]
    joined = np.frombuffer(b"--".join(images), np.uint8)
    starts = np.cumsum([0, *(len(image) + 2 for image in images)])
    places = [
        joined[start : start + len(image)]
        for start, image in zip(starts, images, strict=False)
    ]
    found = decoded(places, BuildConfig(side=SIDE))
    np.testing.assert_array_equal(found, pillows(images))


def turned(file_format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(smooth_photo(3, 61, 40), file_format, exif=exif)


ORIGINALS = {
    "JPEG": file_of(smooth_photo(1, 60, 41), "JPEG"),
    # So large that libjpeg scales it while it decodes.
    "large JPEG": file_of(smooth_photo(2, 400, 301), "JPEG"),
    "PNG": file_of(smooth_photo(3, 30, 50), "PNG"),
    "small PNG": file_of(smooth_photo(4, 9, 7), "PNG"),
    "grey JPEG": file_of(smooth_photo(5, 60, 40).convert("L"), "JPEG"),
    "grey PNG": file_of(smooth_photo(6, 60, 40).convert("L"), "PNG"),
    "turned JPEG": turned("JPEG"),
    "turned PNG": turned("PNG"),
}


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_originals_are_squared_as_a_build_squares_them(resize: Resize) -> None:
    config = BuildConfig(storage="original", side=SIDE, resize=resize)
    found = decoded(list(ORIGINALS.values()), config)
    for name, image, data in zip(ORIGINALS, found, ORIGINALS.values(), strict=True):
        built = to_square(read_image(data, SIDE), SIDE, resize)
        np.testing.assert_array_equal(image, np.asarray(built), err_msg=name)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        method = Image.Resampling.BICUBIC
        plain = (
            ImageOps.fit(upright, (SIDE, SIDE), method)
            if resize == "crop"
            else upright.resize((SIDE, SIDE), method)
        )
        difference = np.abs(image.astype(int) - np.asarray(plain))
        # Pillow has each row first, and ours each column: they round and cut off apart,
        # and so does libjpeg's scaling, at sharp edges by more.
        assert difference.max() <= (8 if name == "large JPEG" else 3), name


@pytest.mark.parametrize("size", [(8, 8), (23, 24), (48, 12), (25, 24)])
def test_a_stored_jpeg_of_another_size_is_refused(size: tuple[int, int]) -> None:
    """A smaller one would leave in the batch what lay in the memory before."""
    odd = file_of(smooth_photo(1, *size), "JPEG")
    images = [file_of(noise(0), "JPEG"), odd]
    with pytest.raises(DataError, match=r"photo 1 cannot be used: .*"):
        decoded(images, BuildConfig(side=SIDE))


@pytest.mark.parametrize("storage", ["jpeg", "original"])
@pytest.mark.parametrize(
    "data", [b"", b"not a photo", file_of(noise(0), "JPEG")[:-200]]
)
def test_what_cannot_be_decoded_is_named(storage: Any, data: bytes) -> None:
    images = [file_of(noise(number), "JPEG") for number in range(20)]
    images[13] = data
    with pytest.raises(DataError, match=r"photo 13 cannot be used: .+"):
        decoded(images, BuildConfig(storage=storage, side=SIDE))


def test_what_cannot_be_read_is_told_as_it_is() -> None:
    def gone(place: int) -> bytes:
        raise DataError(f"nothing at {place}")

    with pytest.raises(DataError, match="nothing at 0"):
        decode_images(1, gone, str, BuildConfig(side=SIDE))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [file_of(noise(number), "JPEG") for number in range(30)]
    with ThreadPoolExecutor(threads) as pool:
        monkeypatch.setattr(alexnet.pipeline.read.decode, "_threads", lambda: pool)
        found = decoded(images, BuildConfig(side=SIDE))
    np.testing.assert_array_equal(found, pillows(images))


@pytest.mark.parametrize("shape", [(3, 5, 7, 3), (1, 8, 8, 3)])
def test_a_batch_starts_where_tensorflow_takes_it_as_it_is(
    shape: tuple[int, ...],
) -> None:
    batches = [empty_batch(shape) for _ in range(5)]
    for batch in batches:
        assert batch.shape == shape
        assert batch.dtype == np.uint8
        assert batch.flags.c_contiguous
        assert batch.ctypes.data % 64 == 0
        batch.fill(1)
