"""Nothing that a photo folder holds crashes, hangs or silently spoils a build."""

from __future__ import annotations

import io
import os
import random
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.pipeline.build.build import BuildReport, build
from alexnet.pipeline.build.quarantine import read_quarantine
from alexnet.pipeline.config import BuildConfig, ReadConfig, StorageName
from alexnet.pipeline.errors import BadImage, DataError, data_error_in
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.image_folder import PhotoSet, open_data
from alexnet.pipeline.read.parse import decode, parse
from alexnet.pipeline.records.encode import encode_record
from alexnet.pipeline.records.fixed_layout import plan_layout
from alexnet.pipeline.records.image import (
    apply_exif_orientation,
    orientation,
    read_image,
    rgb_from_planes,
    to_rgb,
    to_square,
)
from alexnet.pipeline.records.storage import STORAGES
from alexnet.pipeline.source.scan import Source, scan
from tests.cli.conftest import SMALL, failure
from tests.pipeline.odd_photos import (
    KINDS,
    NAMES,
    PHOTO,
    RGB,
    SIDE,
    animated,
    jpeg,
    saved,
)

ROOT = Path(__file__).parents[2]
CONFIG = BuildConfig(storage="raw", side=SIDE, validation_fraction=0)
LEVELS = 2
# pytest lets warnings through that the product keeps from the terminal: see below.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


def difference(pixels: np.ndarray, expected: np.ndarray) -> int:
    """The largest difference of a pixel value; a pixel stands for all of its like."""
    return int(np.abs(pixels.astype(int) - np.broadcast_to(expected, RGB.shape)).max())


# --- one by one


@pytest.mark.parametrize("side", [None, SIDE])
def test_what_can_be_used_is_the_picture_that_went_in(side: int | None) -> None:
    for name, (data, expected) in KINDS.items():
        if not isinstance(expected, str):
            found = to_square(read_image(data, side), SIDE, "crop")
            assert difference(np.asarray(found), expected) <= LEVELS, name
            assert found.info == {}, name


def shown(storage: StorageName, data: bytes, key: str) -> np.ndarray:
    """What the pipeline reads of a photo's record, RGB."""
    config = BuildConfig(storage=storage, side=SIDE, quality=100)
    layout = plan_layout(config, len((key + "cat").encode()))
    record = encode_record(data, key, 0, "cat", config, layout).record
    pixels = decode(parse(tf.constant([record]), STORAGES[storage])[0], config)[
        0
    ].numpy()
    if storage == "yuv420":
        return np.asarray(rgb_from_planes(pixels.tobytes(), SIDE))
    return pixels


def quarters(pixels: np.ndarray) -> np.ndarray:
    """The mean colour of each quarter: [2, 2, 3]."""
    whole = np.broadcast_to(pixels, RGB.shape)
    return whole.reshape(2, SIDE // 2, 2, SIDE // 2, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_every_storage_shows_the_same(storage: StorageName) -> None:
    for name, (data, expected) in KINDS.items():
        if isinstance(expected, str):
            with pytest.raises(BadImage, match=expected):
                shown(storage, data, name)
            continue
        found = shown(storage, data, name)
        if storage in ("raw", "original"):
            assert difference(found, expected) <= LEVELS, name
        else:  # colour of half the width runs over hard edges
            apart = np.abs(quarters(found) - quarters(expected))
            assert apart.max() <= 16, name


def test_tensorflow_shows_an_original_as_pillow_does() -> None:
    config = BuildConfig(storage="original", side=SIDE)
    for name, (data, expected) in KINDS.items():
        if isinstance(expected, str):
            continue
        record = encode_record(data, name, 0, "cat", config, None).record
        stored = parse(tf.constant([record]), STORAGES["original"])[0][0]
        found = tf.io.decode_image(stored, 3, expand_animations=False).numpy()
        whole = apply_exif_orientation(
            to_rgb(read_image(data)), orientation(read_image(data))
        )
        assert found.shape == (whole.height, whole.width, 3), name
        # TensorFlow takes the faster of libjpeg's cosine transforms.
        assert np.abs(found - np.asarray(whole, int)).max() <= 3 * LEVELS, name


def test_pixels_that_cannot_be_converted_are_a_reason() -> None:
    with pytest.raises(BadImage, match="La pixels cannot be used: conversion from La"):
        to_rgb(Image.new("La", (4, 4)))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with some bytes changed, most of them near its start, or some lacking."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(min(len(changed), rng.choice((40, 200, 10_000))))
        changed[place] = rng.choice((0, 127, 255, rng.randrange(256)))
    if rng.random() < 0.3:
        place = rng.randrange(len(changed))
        changed[place : place + rng.randrange(30)] = rng.randbytes(rng.randrange(30))
    if rng.random() < 0.2:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


SEEDS = {
    "JPEG": KINDS["exif 6 and a broken field.jpg"].data,
    "progressive": KINDS["progressive.jpg"].data,
    "CMYK": KINDS["cmyk.jpg"].data,
    "PNG": saved(PHOTO, "PNG"),
    "palette": KINDS["transparent colour.png"].data,
    "16 bits": KINDS["16 bits.png"].data,
    "GIF": KINDS["frames.gif"].data,
    "WebP": saved(PHOTO, "WEBP"),
    "frames": animated("WEBP", lossless=True),
    "BMP": saved(PHOTO, "BMP"),
}


@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_bytes_are_read_or_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Damage makes large pictures, too, which only take time.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    rng, read = random.Random(kind), 0
    for _ in range(300):
        with suppress(BadImage):
            found = to_square(read_image(mutated(SEEDS[kind], rng), SIDE), SIDE, "crop")
            assert (found.size, found.mode) == ((SIDE, SIDE), "RGB")
            found.save(io.BytesIO(), "JPEG")
            read += 1
    assert 0 < read < 300


def test_a_bomb_costs_no_memory_and_nothing_is_printed() -> None:
    code = """
import resource
from contextlib import suppress
from alexnet.pipeline.records.image import BadImage, read_image, to_square
from tests.pipeline.odd_photos import KINDS, SIDE, jpeg_of_size

def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak_bytes()
for name, (data, _) in KINDS.items():
    if name.startswith("bomb"):
        with suppress(BadImage):
            read_image(data)
print(peak_bytes() - before)
photos = [data for name, (data, _) in KINDS.items() if "exif" in name]
for data in (*photos, jpeg_of_size(13_000, 13_000)):  # Pillow warns of its size
    to_square(read_image(data, SIDE), SIDE, "crop")
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < 50 * 2**20


@pytest.mark.slow
def test_a_large_photo_takes_the_memory_of_its_pixels() -> None:
    """So that those of `MAX_PIXELS` take 3.6 GB at most, whatever they are."""
    code = """
import io
from PIL import Image
from alexnet.pipeline.records.image import read_image, to_square

SIDE = 3000
grey = Image.linear_gradient("L").resize((SIDE, SIDE))
colour = Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180)))
kinds = {
    "PNG": (grey, colour, colour.convert("RGBA"), colour.quantize(8)),
    "JPEG": (colour, colour.convert("CMYK")), "BMP": (colour,), "GIF": (grey,),
    "TIFF": (grey.convert("I"), grey.convert("F"), colour.convert("CMYK")),
    "WEBP": (colour,), "AVIF": (colour,), "PPM": (colour,),
}
photos = []
for file_format, images in kinds.items():
    for image in images:
        file = io.BytesIO()
        fast = {"compress_level": 1} if file_format == "PNG" else {"quality": 50}
        image.save(file, file_format, **({"method": 0, "speed": 10} | fast))
        photos.append(file.getvalue())
del grey, colour, kinds, images, image
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # proc(5): the peak counts from here

def held(name):
    with open("/proc/self/status") as file:
        lines = dict(line.split(":") for line in file)
    return int(lines[name].split()[0]) * 1024

before = held("VmRSS")
for data in photos:
    to_square(read_image(data), 16, "crop")
print((held("VmHWM") - before) / SIDE**2)
"""
    command = [sys.executable, "-c", code]
    assert float(subprocess.check_output(command, cwd=ROOT, text=True)) < 19


# --- all in one build


OUTSIDE = "linked from outside.jpg"
# What the file system adds to the class `odd`, and why it is set aside.
UNREADABLE = {
    "gone.jpg": "cannot be read: No such file or directory",
    "links to itself.jpg": "cannot be read: Too many levels of symbolic links",
    "vanishes.jpg": "cannot be read: No such file or directory",
    "shrinks.jpg": "cannot be decoded: image file is truncated",
}
if os.geteuid() != 0:
    UNREADABLE["locked.jpg"] = "cannot be read: Permission denied"
NO_FILES = ("a device.jpg", "a pipe.jpg", "a socket.jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind in the class `odd`, and every name in the class `name`."""
    folder = tmp_path_factory.mktemp("odd")
    odd, names = folder / "odd", folder / "name"
    for path in (odd, names, odd / "folder.jpg", folder / "cat.5.jpg"):
        path.mkdir()
    for name, (data, _) in KINDS.items():
        (odd / name).write_bytes(data)
    for raw in NAMES:
        (names / os.fsdecode(raw)).write_bytes(jpeg(PHOTO))
    for name in ("vanishes.jpg", "shrinks.jpg", "locked.jpg", "../cat.5.jpg/1.jpg"):
        (odd / name).write_bytes(jpeg(PHOTO))
    (odd / "locked.jpg").chmod(0)
    outside = tmp_path_factory.mktemp("outside") / "photo.png"
    outside.write_bytes(saved(PHOTO, "PNG"))
    (odd / OUTSIDE).symlink_to(outside)
    (odd / "gone.jpg").symlink_to(folder / "nowhere")
    (odd / "links to itself.jpg").symlink_to(odd / "links to itself.jpg")
    (odd / "all again").symlink_to(folder)
    os.mkfifo(odd / "a pipe.jpg")
    os.mknod(odd / "a socket.jpg", stat.S_IFSOCK | 0o600)
    (odd / "a device.jpg").symlink_to("/dev/zero")
    return folder


class Built(NamedTuple):
    """What was found in the folder, what was made of it, and the pixels by key."""

    source: Source
    report: BuildReport
    pixels: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def built(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The records of all that, built while two of the photos went bad."""
    source = scan(folder)
    (folder / "odd" / "vanishes.jpg").unlink()
    os.truncate(folder / "odd" / "shrinks.jpg", len(jpeg(PHOTO)) - 20)
    out = tmp_path_factory.mktemp("records")
    report = build(source, out, CONFIG, workers=1, max_bad=1)
    assert report.quarantined == read_quarantine(out)
    return Built(source, report, dict(stored_pixels(out)))


def stored_pixels(records: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Keys and pixels of the records, read by TensorFlow."""
    paths = [str(path) for path in records.glob("*.tfrecord")]
    for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        (key,), (pixels,) = (
            feature[name].bytes_list.value for name in ("image/filename", "image/raw")
        )
        yield os.fsdecode(key), np.frombuffer(pixels, np.uint8).reshape(RGB.shape)


def test_every_odd_photo_is_read_right_or_set_aside(built: Built) -> None:
    reasons = {bad.key: bad.reason for bad in built.report.quarantined}
    for name, (_, expected) in KINDS.items():
        key = f"odd/{name}"
        assert (key in reasons) != (key in built.pixels), key
        if isinstance(expected, str):
            assert re.search(expected, reasons[key]), key
        else:
            assert difference(built.pixels[key], expected) <= LEVELS, key


def test_any_name_is_kept_byte_for_byte(built: Built) -> None:
    for raw in NAMES:
        assert difference(built.pixels[f"name/{os.fsdecode(raw)}"], RGB) <= LEVELS
    assert difference(built.pixels["cat.5.jpg/1.jpg"], RGB) <= LEVELS
    assert built.report.manifest.class_names == ("cat.5.jpg", "name", "odd")


def test_a_link_out_of_the_folder_is_followed(built: Built) -> None:
    assert difference(built.pixels[f"odd/{OUTSIDE}"], RGB) == 0


def test_what_cannot_be_opened_is_set_aside_and_what_is_no_file_is_left_out(
    built: Built,
) -> None:
    reasons = {bad.key: bad.reason for bad in built.report.quarantined}
    for name, reason in UNREADABLE.items():
        assert reasons[f"odd/{name}"].startswith(reason)
    ours = {name for name, (_, what) in KINDS.items() if isinstance(what, str)}
    assert set(reasons) == {f"odd/{name}" for name in ours | set(UNREADABLE)}
    left_out = tuple(f"odd/{name} (no plain file)" for name in NO_FILES)
    assert built.source.ignored == left_out


# --- training from the folder itself


def photos_with(tmp_path: Path, name: bytes, data: bytes) -> Path:
    """15 good photos, a pipe, a folder with a photo's name, and one odd photo."""
    folder = tmp_path / "photos"
    (folder / "cat.99.jpg").mkdir(parents=True)
    os.mkfifo(folder / "dog.99.jpg")
    for number in range(15):
        label = ("cat", "dog")[number % 2]
        (folder / f"{label}.{number}.jpg").write_bytes(jpeg(PHOTO))
    (folder / os.fsdecode(name)).write_bytes(data)
    return folder


def told(data: PhotoSet) -> str:
    """What ends the evaluation of all photos."""
    with pytest.raises(tf.errors.OpError) as error:
        for split in ("train", "validation"):
            list(eval_dataset(data, ReadConfig(batch_size=4), split))
    return str(data_error_in(error.value))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["bomb.png", "film.jpg", "cut at 50 %.jpg"])
@pytest.mark.parametrize("name", [b"cat.50.jpg", b"cat\n.5.jpg", b"cat\xff.5.jpg"])
def test_training_from_photos_names_the_one_that_is_bad(
    tmp_path: Path, kind: str, name: bytes
) -> None:
    folder = photos_with(tmp_path, name, KINDS[kind].data)
    data = open_data(folder)
    assert isinstance(data, PhotoSet)
    files = [file.key for split in data.files.values() for file in split]
    assert len(files) == 16
    assert "dog.99.jpg" not in files
    said = told(data)
    assert re.search(str(KINDS[kind].expected), said)
    assert name.decode("utf-8", "backslashreplace") in said


def test_a_pipe_in_the_place_of_photos_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is neither a folder nor a file"):
        open_data(tmp_path / "pipe")


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_fit_ends_with_the_name_of_the_bad_photo(tmp_path: Path) -> None:
    folder = photos_with(tmp_path, b"cat.50.jpg", KINDS["text.jpg"].data)
    words = ("fit", folder, "--run", tmp_path / "run", "--epochs", 1)
    said = failure(*words, *SMALL, "--batch-size", 12)  # all that is not held out
    assert f"{folder / 'cat.50.jpg'} cannot be used: not an image" in said
