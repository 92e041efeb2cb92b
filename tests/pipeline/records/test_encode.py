"""Records: what goes in by Pillow comes out by TensorFlow."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from alexnet.pipeline.config import BuildConfig, Resize, StorageName
from alexnet.pipeline.read.parse import decode, find_jpeg, parse
from alexnet.pipeline.records.encode import LABEL, encode_record
from alexnet.pipeline.records.fixed_layout import plan_layout
from alexnet.pipeline.records.image import yuv420_planes
from alexnet.pipeline.records.storage import ENCODED, STORAGES
from alexnet.pipeline.records.tfrecord import encode_example
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


def pillow_square(data: bytes, resize: Resize) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    if resize == "crop":
        square = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC)
    else:
        square = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(square)


def features(record: bytes) -> dict[str, Any]:
    """What protobuf reads, one value each."""
    found = tf.train.Example.FromString(record).features.feature
    values = {}
    for key, feature in found.items():
        (values[key],) = getattr(feature, feature.WhichOneof("kind")).value
    return values


def encoded(
    data: bytes,
    config: BuildConfig,
    key: str = "dog/1.jpg",
    label: int = 1,
    class_name: str = "dog",
) -> bytes:
    """The record of a photo, with the layout of a set whose longest names it has."""
    layout = plan_layout(config, len((key + class_name).encode()))
    return encode_record(data, key, label, class_name, config, layout).record


def round_trip(data: bytes, config: BuildConfig) -> np.ndarray:
    """What a batch of the record and another holds of it."""
    other = encoded(photo_bytes("PNG"), config, label=5)
    records = tf.constant([other, encoded(data, config)])
    stored, labels = parse(records, STORAGES[config.storage])
    assert labels.dtype == tf.int64 and labels.numpy().tolist() == [5, 1]
    images = decode(stored, config)
    assert images.dtype == tf.uint8
    return images[1].numpy()


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(found.astype(float) - expected).max()


@pytest.mark.parametrize(
    ("storage", "key", "file_format", "size"),
    [
        ("jpeg", "image/encoded", b"jpeg", (SIDE, SIDE)),
        ("raw", "image/raw", b"raw", (SIDE, SIDE)),
        ("yuv420", "image/raw", b"yuv420", (SIDE, SIDE)),
        ("original", "image/encoded", b"jpeg", (60, 41)),
    ],
)
def test_a_record_has_the_promised_features(
    storage: StorageName, key: str, file_format: bytes, size: tuple[int, int]
) -> None:
    config = BuildConfig(storage=storage, side=SIDE)
    data = photo_bytes("JPEG")
    found = features(encoded(data, config, "Hündin/1.jpg", 3, "Hündin"))
    pixels = found.pop(key)
    found = {k: v for k, v in found.items() if not k.startswith("padding")}
    assert found == {
        "image/format": file_format,
        "image/height": size[1],
        "image/width": size[0],
        "image/channels": 3,
        "image/colorspace": b"YCbCr" if storage == "yuv420" else b"RGB",
        "image/class/label": 3,
        "image/class/text": "Hündin".encode(),
        "image/filename": "Hündin/1.jpg".encode(),
    }
    if key == "image/raw":
        assert len(pixels) == SIDE * SIDE * 3 // (2 if storage == "yuv420" else 1)
    else:
        assert Image.open(io.BytesIO(pixels)).size == size


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("storage", ["raw", "original"])
def test_pillows_pixels_come_out(
    storage: StorageName, file_format: str, turn: int, resize: Resize
) -> None:
    data = photo_bytes(file_format, turn=turn)
    found = round_trip(data, BuildConfig(storage=storage, side=SIDE, resize=resize))
    # Pillow's resample has each row first, and ours each column: they round apart.
    assert distance(found, pillow_square(data, resize)) <= 1


def test_yuv420_comes_out_as_planes() -> None:
    """Of the square, in rows as wide as it: luma, then Cb, then Cr."""
    data = photo_bytes("JPEG")
    square = round_trip(data, BuildConfig(storage="raw", side=SIDE))
    found = round_trip(data, BuildConfig(storage="yuv420", side=SIDE))
    assert found.shape == (SIDE * 3 // 2, SIDE)
    planes = yuv420_planes(Image.fromarray(square))
    assert found.tobytes() == planes


@pytest.mark.parametrize("quality", [50, 90])
def test_jpeg_decodes_as_pillow_decodes_it(quality: int) -> None:
    config = BuildConfig(storage="jpeg", side=SIDE, quality=quality)
    data = photo_bytes("JPEG")
    stored = features(encoded(data, config))["image/encoded"]
    expected = Image.open(io.BytesIO(stored))
    assert expected.size == (SIDE, SIDE)
    assert distance(round_trip(data, config), np.asarray(expected)) == 0


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_original_keeps_the_file_as_it_is(file_format: str, mode: str) -> None:
    data = photo_bytes(file_format, smooth_photo(8, 30, 20).convert(mode))
    record = features(encoded(data, BuildConfig(storage="original", side=SIDE)))
    assert record["image/encoded"] == data
    assert record["image/format"] == file_format.lower().encode()


@pytest.mark.parametrize(
    ("file_format", "mode"), [("PNG", "RGBA"), ("JPEG", "CMYK"), ("GIF", "P")]
)
def test_original_holds_a_png_of_what_tensorflow_would_show_otherwise(
    file_format: str, mode: str
) -> None:
    image = smooth_photo(9, 30, 30).convert(mode)
    data = photo_bytes(file_format, image)
    config = BuildConfig(storage="original", side=30)
    record = features(encoded(data, config))
    assert record["image/format"] == b"png"
    shown = Image.open(io.BytesIO(data)).convert("RGB")
    assert distance(round_trip(data, config), np.asarray(shown)) == 0


def without_checksum(png: bytes) -> bytes:
    """The file with another checksum of its pixels, which Pillow does not look at."""
    place = png.index(b"IEND") - 8
    return png[:place] + bytes(4) + png[place + 4 :]


@pytest.mark.parametrize(
    ("file_format", "damage"),
    [
        ("PNG", without_checksum),
        ("PNG", lambda png: png[:-12]),
        ("JPEG", lambda jpeg: jpeg[:-2] + bytes(99)),
    ],
)
def test_original_holds_a_png_of_what_only_pillow_reads(
    file_format: str, damage: Callable[[bytes], bytes]
) -> None:
    data = photo_bytes(file_format)
    record = features(encoded(damage(data), BuildConfig(storage="original", side=SIDE)))
    stored = record["image/encoded"]
    assert record["image/format"] == b"png"
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert distance(tf.io.decode_image(stored, 3).numpy(), expected) == 0
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_image(damage(data))


def test_original_keeps_a_photo_that_another_follows() -> None:
    file = io.BytesIO()
    photo = smooth_photo(5, 60, 41)
    photo.save(file, "MPO", save_all=True, append_images=[photo.rotate(180)])
    record = features(
        encoded(file.getvalue(), BuildConfig(storage="original", side=SIDE))
    )
    assert record["image/encoded"] == file.getvalue()
    assert record["image/format"] == b"jpeg"


def test_original_shows_a_transparent_colour_as_white() -> None:
    image = Image.new("RGB", (30, 30), "red")
    image.paste("blue", (0, 0, 10, 30))
    file = io.BytesIO()
    image.save(file, "PNG", transparency=(255, 0, 0))
    found = round_trip(file.getvalue(), BuildConfig(storage="original", side=30))
    assert (found[:, :10] == (0, 0, 255)).all()
    assert (found[:, 10:] == 255).all()


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_equal_photos_make_equal_bytes(storage: StorageName) -> None:
    records = {
        encoded(photo_bytes("JPEG"), BuildConfig(storage=storage, side=SIDE))
        for _ in range(2)
    }
    assert len(records) == 1


# --- a jpeg record, taken apart by hand


def as_array(record: bytes) -> np.ndarray:
    return np.frombuffer(record, np.uint8)


@pytest.mark.parametrize("label", [0, 1, 127, 128, 999, 20_000, 2**40])
@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 70_000])
def test_label_and_image_are_found_where_they_lie(label: int, size: int) -> None:
    image = np.random.default_rng(size).bytes(size)
    record = encode_example({LABEL: label, ENCODED: image, "image/format": b"jpeg"})
    data = as_array(record)
    found_label, found = find_jpeg(data)
    assert (found_label, found.tobytes()) == (label, image)
    assert np.shares_memory(found, data) == bool(size)


def test_a_built_record_is_taken_apart_as_protobuf_does() -> None:
    record = encoded(photo_bytes("JPEG"), BuildConfig(side=SIDE), label=300)
    label, image = find_jpeg(as_array(record))
    assert label == features(record)["image/class/label"]
    assert image.tobytes() == features(record)["image/encoded"]


def test_what_is_no_such_record_raises_nothing_but_a_value_error() -> None:
    """Bytes are changed at random, and the head of a record is cut everywhere."""
    draw = random.Random(0)
    record = encode_example({LABEL: 3, ENCODED: bytes(range(256)), "x": 1})
    head = record.index(bytes(range(256)))
    for length in range(head):
        with pytest.raises(ValueError, match="label and an image"):
            find_jpeg(as_array(record[:length]))
    refused = 0
    for case in range(3000):
        changed = bytearray(record)
        changed[draw.randrange(head)] = draw.randrange(256)
        data = draw.randbytes(draw.randrange(80)) if case % 4 == 0 else bytes(changed)
        try:
            find_jpeg(as_array(data))
        except ValueError:
            refused += 1
    assert 1000 < refused < 3000
    other_order = encode_example({ENCODED: b"image", LABEL: 3})
    with pytest.raises(ValueError, match="label and an image"):
        find_jpeg(as_array(other_order))
