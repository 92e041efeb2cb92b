"""Records: what goes in by Pillow comes out by TensorFlow."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from pipeline.config import BuildConfig, Fit, Storage
from pipeline.pixels import BadImage
from pipeline.record import decode, encode_record, fit_square, parse
from tests.conftest import smooth_photo

SIDE = 24


def photo_bytes(
    file_format: str, image: Image.Image | None = None, turn: int = 1
) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    image = image or smooth_photo(5, 60, 41)
    image.save(file, file_format, quality=95, exif=exif)
    return file.getvalue()


def pillow_square(data: bytes, fit: Fit) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    if fit == "crop":
        square = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC)
    else:
        square = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(square)


def features(record: bytes) -> dict[str, list]:
    found = tf.train.Example.FromString(record).features.feature
    return {
        key: list(value.bytes_list.value) + list(value.int64_list.value)
        for key, value in found.items()
    }


def round_trip(data: bytes, config: BuildConfig) -> np.ndarray:
    record = encode_record(data, "dog/1.jpg", 1, "dog", config)
    stored, label = parse(tf.constant(record), config.storage)
    assert label.dtype == tf.int64 and int(label) == 1
    image = decode(stored, config.storage, config.side, config.fit)
    assert image.dtype == tf.uint8
    return image.numpy()


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(found.astype(float) - expected).max()


@pytest.mark.parametrize(
    ("storage", "key", "file_format", "size"),
    [
        ("jpeg", "image/encoded", b"jpeg", (SIDE, SIDE)),
        ("raw", "image/raw", b"raw", (SIDE, SIDE)),
        ("original", "image/encoded", b"jpeg", (60, 41)),
    ],
)
def test_a_record_has_the_promised_features(
    storage: Storage, key: str, file_format: bytes, size: tuple[int, int]
) -> None:
    config = BuildConfig(storage, side=SIDE)
    data = photo_bytes("JPEG")
    found = features(encode_record(data, "Hündin/1.jpg", 3, "Hündin", config))
    (pixels,) = found.pop(key)
    assert found == {
        "image/format": [file_format],
        "image/height": [size[1]],
        "image/width": [size[0]],
        "image/channels": [3],
        "image/colorspace": [b"RGB"],
        "image/class/label": [3],
        "image/class/text": ["Hündin".encode()],
        "image/filename": ["Hündin/1.jpg".encode()],
    }
    if storage == "raw":
        assert len(pixels) == SIDE * SIDE * 3
    else:
        assert Image.open(io.BytesIO(pixels)).size == size


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_raw_holds_pillows_pixels(file_format: str, turn: int, fit: Fit) -> None:
    data = photo_bytes(file_format, turn=turn)
    found = round_trip(data, BuildConfig("raw", side=SIDE, fit=fit))
    # Turned after the resample here and before it there, which may round apart.
    assert distance(found, pillow_square(data, fit)) <= (turn != 1)


@pytest.mark.parametrize("quality", [50, 90])
def test_jpeg_decodes_as_pillow_decodes_it(quality: int) -> None:
    config = BuildConfig("jpeg", side=SIDE, quality=quality)
    data = photo_bytes("JPEG")
    (stored,) = features(encode_record(data, "k", 0, "c", config))["image/encoded"]
    expected = Image.open(io.BytesIO(stored))
    assert expected.size == (SIDE, SIDE)
    assert distance(round_trip(data, config), np.asarray(expected)) <= 2


def test_jpeg_is_close_to_the_photo() -> None:
    data = photo_bytes("JPEG")
    found = round_trip(data, BuildConfig("jpeg", side=SIDE, quality=95))
    assert np.abs(found.astype(float) - pillow_square(data, "crop")).mean() < 3


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("turn", [1, 3, 8])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_original_is_squared_as_pillow_squares_it(
    file_format: str, turn: int, fit: Fit
) -> None:
    # An even margin: TensorFlow crops whole pixels.
    data = photo_bytes(file_format, smooth_photo(6, 61, 41), turn)
    found = round_trip(data, BuildConfig("original", side=SIDE, fit=fit))
    assert distance(found, pillow_square(data, fit)) <= 2


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_fit_square_is_pillows_resample(fit: Fit) -> None:
    image = smooth_photo(7, 50, 70)
    file = io.BytesIO()
    image.save(file, "PNG")
    found = fit_square(tf.constant(np.asarray(image)), SIDE, fit).numpy()
    expected = pillow_square(file.getvalue(), fit)
    assert distance(found, expected) <= 1
    assert abs((found.astype(float) - expected).mean()) < 0.1  # rounded, not cut off


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_original_keeps_the_file_as_it_is(file_format: str, mode: str) -> None:
    data = photo_bytes(file_format, smooth_photo(8, 30, 20).convert(mode))
    record = encode_record(data, "k", 0, "c", BuildConfig("original", side=SIDE))
    assert features(record)["image/encoded"] == [data]
    assert features(record)["image/format"] == [file_format.lower().encode()]


@pytest.mark.parametrize(
    ("file_format", "mode"), [("PNG", "RGBA"), ("JPEG", "CMYK"), ("GIF", "P")]
)
def test_original_holds_a_png_of_what_tensorflow_would_show_otherwise(
    file_format: str, mode: str
) -> None:
    image = smooth_photo(9, 30, 30).convert(mode)
    data = photo_bytes(file_format, image)
    config = BuildConfig("original", side=30)
    record = features(encode_record(data, "k", 0, "c", config))
    assert record["image/format"] == [b"png"]
    shown = Image.open(io.BytesIO(data)).convert("RGB")
    assert distance(round_trip(data, config), np.asarray(shown)) == 0


def test_original_shows_a_transparent_colour_as_white() -> None:
    image = Image.new("RGB", (30, 30), "red")
    image.paste("blue", (0, 0, 10, 30))
    file = io.BytesIO()
    image.save(file, "PNG", transparency=(255, 0, 0))
    found = round_trip(file.getvalue(), BuildConfig("original", side=30))
    assert (found[:, :10] == (0, 0, 255)).all()
    assert (found[:, 10:] == 255).all()


@pytest.mark.parametrize("storage", ["jpeg", "raw", "original"])
def test_a_cut_photo_makes_no_record(storage: Storage) -> None:
    cut = photo_bytes("JPEG")[:-300]
    with pytest.raises(BadImage, match="truncated"):
        encode_record(cut, "k", 0, "c", BuildConfig(storage, side=SIDE))


def test_equal_photos_make_equal_bytes() -> None:
    records = {
        encode_record(photo_bytes("JPEG"), "k", 0, "c", BuildConfig(side=SIDE))
        for _ in range(2)
    }
    assert len(records) == 1
