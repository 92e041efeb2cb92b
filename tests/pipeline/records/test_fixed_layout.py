"""Records of one length: ordinary Examples for all others, mapped they are a matrix.

What a record holds is told by protobuf and by Pillow, never by the code that wrote it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.split_files import split_files
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.records.encode import encode_record
from alexnet.pipeline.records.fixed_layout import Layout, encode_fixed, plan_layout
from alexnet.pipeline.records.image import yuv420_planes
from alexnet.pipeline.records.manifest import load_manifest
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.verify.checksums import require_whole_shards
from tests.conftest import smooth_photo
from tests.pipeline.odd_photos import saved
from tests.pipeline.records.test_encode import features

HEADER, FOOTER, PAGE = 12, 4, 4096
SIDES: list[tuple[StorageName, int]] = [
    *(("raw", side) for side in (8, 9, 33, 72)),
    *(("yuv420", side) for side in (8, 10, 34, 72)),
]
NAMES = {
    "cat/1.png": "cat",
    "Größe/Ж 猫.png": "Größe",
    "dog/" + "long " * 40 + ".png": "dog",
    "deep/" * 60 + "photo.png": "deep",
}


def png(number: int, side: int) -> bytes:
    """A photo that has its stored size already: nothing is resampled."""
    return saved(smooth_photo(number, side, side), "PNG")


def pixels_of(data: bytes, storage: StorageName) -> bytes:
    image = Image.open(io.BytesIO(data))
    return image.tobytes() if storage == "raw" else yuv420_planes(image)


def planned(config: BuildConfig, longest_names_bytes: int) -> Layout:
    layout = plan_layout(config, longest_names_bytes)
    assert layout is not None
    return layout


def little_varint(data: bytes) -> int:
    """The number in these bytes, seven bits each, all of which belong to it."""
    assert all(byte & 128 for byte in data[:-1]) and not data[-1] & 128
    return sum((byte & 127) << 7 * place for place, byte in enumerate(data))


@pytest.mark.parametrize(("storage", "side"), SIDES)
def test_a_record_is_an_example_with_its_pixels_in_place(
    storage: StorageName, side: int
) -> None:
    config = BuildConfig(storage=storage, side=side)
    longest = max(len((key + name).encode()) for key, name in NAMES.items())
    layout = planned(config, longest)
    assert layout.stride_bytes % PAGE == 0
    assert layout.pixel_offset % 64 == 0
    for label, (key, class_name) in enumerate(NAMES.items()):
        data = png(label, side)
        record = encode_record(data, key, label, class_name, config, layout).record
        assert HEADER + len(record) + FOOTER == layout.stride_bytes
        pixels = pixels_of(data, storage)
        assert layout.pixel_bytes == len(pixels)
        start = layout.pixel_offset - HEADER
        assert record[start : start + len(pixels)] == pixels
        start = layout.label_offset - HEADER
        assert little_varint(record[start : start + 5]) == label
        found = features(record)
        for padding in ("padding", "padding/end"):
            assert not found.pop(padding).strip(b"\0")
        assert found == {
            "image/raw": pixels,
            "image/format": storage.encode(),
            "image/height": side,
            "image/width": side,
            "image/channels": 3,
            "image/colorspace": b"RGB" if storage == "raw" else b"YCbCr",
            "image/class/label": label,
            "image/class/text": class_name.encode(),
            "image/filename": key.encode(),
        }
        parsed = tf.io.parse_single_example(
            record,
            {
                key: tf.io.FixedLenFeature(
                    [], tf.string if isinstance(value, bytes) else tf.int64
                )
                for key, value in found.items()
            },
        )
        assert {key: value.numpy() for key, value in parsed.items()} == found


@pytest.mark.parametrize("label", [0, 1, 127, 128, 20_000, 2**35 - 1])
def test_a_label_of_any_size_takes_the_same_room(label: int) -> None:
    config = BuildConfig(storage="raw", side=8)
    layout = planned(config, 2)
    record = encode_fixed(label, b"a", b"b", bytes(192), config, layout)
    assert HEADER + len(record) + FOOTER == layout.stride_bytes
    assert features(record)["image/class/label"] == label
    start = layout.label_offset - HEADER
    assert little_varint(record[start : start + 5]) == label


def test_the_longest_names_fit_whatever_their_lengths() -> None:
    """Around the length at which a page is full: some leave no byte to spare."""
    config = BuildConfig(storage="yuv420", side=8)
    strides = set()
    for length in (0, 127, 128, *range(3300, 3700), 30_000):
        layout = planned(config, length)
        for of_class in (0, min(length, 130), length):
            names = b"c" * of_class, b"f" * (length - of_class)
            record = encode_fixed(0, *names, bytes(96), config, layout)
            assert HEADER + len(record) + FOOTER == layout.stride_bytes
        found = features(record)
        assert found["image/class/text"] == b"c" * length
        assert found["image/filename"] == b""
        strides.add(layout.stride_bytes)
    assert strides == {PAGE, 2 * PAGE, 8 * PAGE}


def test_names_longer_than_planned_are_refused() -> None:
    config = BuildConfig(storage="raw", side=8)
    layout = planned(config, 100)
    encode_fixed(0, b"cat", b"k" * 97, bytes(192), config, layout)
    with pytest.raises(BadImage, match="its name is too long for the records'"):
        encode_fixed(0, b"cat", b"k" * PAGE, bytes(192), config, layout)


def test_only_bare_pixels_have_a_layout() -> None:
    assert plan_layout(BuildConfig(storage="jpeg"), 10) is None
    assert plan_layout(BuildConfig(storage="original"), 10) is None


def test_a_record_wastes_less_than_a_page_and_the_names() -> None:
    for storage, side in SIDES:
        layout = planned(BuildConfig(storage=storage, side=side), 300)
        assert layout.stride_bytes < layout.pixel_bytes + 300 + 700 + PAGE


# --- whole shards


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of 33 or more pixels, among them one whose name fills two pages."""
    path = tmp_path_factory.mktemp("archive") / "photos.zip"
    keys = [*NAMES, f"cat/{'x' * 2 * PAGE}.png", *(f"dog/{n}.png" for n in range(8))]
    with zipfile.ZipFile(path, "w") as file:
        for number, key in enumerate(keys):
            file.writestr(key, png(number, 34))
    return path


@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_a_mapped_shard_is_a_matrix_of_records(
    storage: StorageName, archive: Path, tmp_path: Path
) -> None:
    config = BuildConfig(storage=storage, side=34, shards=3)
    report = build(scan(archive), tmp_path, config, workers=1)
    layout = report.manifest.layout
    assert layout is not None
    assert load_manifest(tmp_path).layout == layout
    assert report.quarantined == ()
    seen = set()
    for card in report.manifest.splits.values():
        for shard in card.shards:
            path = str(tmp_path / shard.name)
            assert shard.num_bytes == shard.num_examples * layout.stride_bytes
            matrix = tf.raw_ops.ImmutableConst(
                dtype=tf.uint8,
                shape=[shard.num_examples, layout.stride_bytes],
                memory_region_name=path,
            ).numpy()
            records = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
            assert len(records) == shard.num_examples
            for row, record in zip(matrix, records, strict=True):
                assert row.tobytes()[HEADER:-FOOTER] == record
                found = features(record)
                key = found["image/filename"].decode()
                with zipfile.ZipFile(archive) as file:
                    pixels = pixels_of(file.read(key), storage)
                mapped = row[layout.pixel_offset :][: layout.pixel_bytes]
                np.testing.assert_array_equal(mapped, np.frombuffer(pixels, np.uint8))
                names = report.manifest.class_names
                assert names[found["image/class/label"]] == key.partition("/")[0]
                seen.add(key)
    with zipfile.ZipFile(archive) as file:
        assert seen == set(file.namelist())


def test_a_name_that_has_no_room_is_set_aside(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan knows the longest name, so that this happens to no build."""
    plan = "alexnet.pipeline.build.plan.split_files"
    monkeypatch.setattr(plan, lambda *source: (split_files(*source)[0], 0))
    config = BuildConfig(storage="raw", side=34)
    report = build(scan(archive), tmp_path, config, workers=1, max_bad=1)
    reasons = {bad.key: bad.reason for bad in report.quarantined}
    assert f"cat/{'x' * 2 * PAGE}.png" in reasons
    assert set(reasons.values()) == {
        "its name is too long for the records' fixed length"
    }
    counts = [card.num_examples for card in report.manifest.splits.values()]
    assert sum(counts) == 13 - len(reasons)
    require_whole_shards(open_records(tmp_path))
