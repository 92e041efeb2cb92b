"""Rows fetched by number against the records read by TensorFlow and Pillow."""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import alexnet.pipeline.read.mmap
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError, data_error_in
from alexnet.pipeline.read.mapped import JpegRows, PixelRows, open_rows
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.rows import Rows
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, flip, smooth_photo
from tests.pipeline.read.test_mmap import RefusingLibc

HEADER, FOOTER = 12, 4
# Pixels that fill whole pages, end within one, or have room for no page behind them.
SIDES: list[tuple[StorageName, int]] = [
    *(("raw", side) for side in (8, 9, 64, 72, 100, 226)),
    *(("yuv420", side) for side in (8, 64, 72, 100, 226)),
]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photos of three classes."""
    folder = tmp_path_factory.mktemp("few")
    for number in range(7):
        picture = smooth_photo(number, 60 + number, 50)
        picture.save(folder / f"{'abc'[number % 3]}.{number}.png")
    return folder


def built(
    photos: Path, out: Path, storage: StorageName, side: int = SIDE
) -> OpenedRecords:
    config = BuildConfig(storage=storage, side=side, shards=3, validation_fraction=0)
    build(scan(photos), out, config, workers=1, max_bad=1)
    return open_records(out)


def stored(records: OpenedRecords, key: str) -> tuple[list[Any], list[int]]:
    """A feature and the label of every train record, by protobuf."""
    values, labels = [], []
    for path in records.paths("train"):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            values += feature[key].bytes_list.value
            labels += feature["image/class/label"].int64_list.value
    return values, labels


def fetched(
    rows: Rows, numbers: Sequence[int] | np.ndarray
) -> tuple[tf.Tensor, tf.Tensor]:
    return rows.fetch(tf.constant(numbers), *rows.lend())


def order_of(count: int) -> np.ndarray:
    """Every row, in no order, and some twice."""
    random = np.random.default_rng(0)
    return np.concatenate([random.permutation(count), random.integers(0, count, 4)])


@pytest.mark.parametrize(("storage", "side"), SIDES)
def test_rows_of_pixels_are_the_records(
    storage: StorageName, side: int, few: Path, tmp_path: Path
) -> None:
    records = built(few, tmp_path, storage, side)
    pixels, labels = stored(records, "image/raw")
    assert len(pixels) == 7
    shape = (side, side, 3) if storage == "raw" else (side * 3 // 2, side)
    expected = np.stack([np.frombuffer(p, np.uint8).reshape(shape) for p in pixels])
    rows = open_rows(records, "train")
    assert isinstance(rows, PixelRows)
    order = order_of(7)
    for numbers in (order.astype(np.int32), order.astype(np.int64), order[:1]):
        images, found = fetched(rows, numbers)
        assert (images.dtype, found.dtype) == (tf.uint8, tf.int64)
        np.testing.assert_array_equal(images, expected[numbers])
        np.testing.assert_array_equal(found, np.array(labels)[numbers])


def test_rows_of_jpegs_are_the_records(record_sets: dict[str, Path]) -> None:
    records = open_records(record_sets["jpeg"])
    encoded, labels = stored(records, "image/encoded")
    expected = np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in encoded])
    assert len(expected) == 18
    rows = open_rows(records, "train")
    assert isinstance(rows, JpegRows)
    order = order_of(18)
    for numbers in (order.astype(np.int32), order.astype(np.int64), order[:1]):
        images, found = fetched(rows, numbers)
        assert (images.dtype, found.dtype) == (tf.uint8, tf.int64)
        np.testing.assert_array_equal(images, expected[numbers])
        np.testing.assert_array_equal(found, np.array(labels)[numbers])


@pytest.mark.parametrize("storage", ["jpeg", "raw", "yuv420"])
def test_shapes_are_known_inside_tf_data(
    record_sets: dict[str, Path], storage: StorageName
) -> None:
    rows = open_rows(open_records(record_sets[storage]), "validation")
    numbers = tf.data.Dataset.from_tensors(tf.constant([3, 1, 3], tf.int32))
    shape = (24, 16) if storage == "yuv420" else (16, 16, 3)
    batches = numbers.map(lambda row: rows.fetch(row, *rows.lend()))
    assert batches.element_spec == (
        tf.TensorSpec((3, *shape), tf.uint8),
        tf.TensorSpec((3,), tf.int64),
    )
    ((images, labels),) = batches.as_numpy_iterator()
    np.testing.assert_array_equal(images[0], images[2])
    expected = fetched(rows, [3, 1, 3])
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, expected[1])


def test_an_index_that_was_deleted_is_not_missed(
    record_sets: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))
    shutil.rmtree(folder / "idx")
    order = order_of(18)
    found = fetched(open_rows(open_records(folder), "train"), order)
    expected = fetched(open_rows(open_records(record_sets["jpeg"]), "train"), order)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("storage", ["jpeg", "raw", "yuv420"])
def test_a_shard_without_records_is_passed_over(
    few: Path, tmp_path: Path, storage: StorageName
) -> None:
    """The build leaves one whose files were all set aside."""
    photos = Path(shutil.copytree(few, tmp_path / "photos"))
    whole = built(photos, tmp_path / "whole", storage)
    first = next(tf.data.TFRecordDataset(whole.paths("train")[1]).as_numpy_iterator())
    feature = tf.train.Example.FromString(first).features.feature
    names = stored(whole, "image/filename")[0]
    (name,) = feature["image/filename"].bytes_list.value
    # The second of three shards holds the files from this one on.
    for bad in names[names.index(name) :][:2]:
        (photos / bad.decode()).write_text("not a photo")
    holey = built(photos, tmp_path / "holey", storage)
    sizes = [s.num_examples for s in holey.manifest.splits["train"].shards]
    assert sizes == [2, 0, 3]
    images, labels = fetched(open_rows(holey, "train"), range(5))
    expected, their_labels = fetched(open_rows(whole, "train"), [0, 1, 4, 5, 6])
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(labels, their_labels)


# --- damage


def offsets(path: Path) -> list[int]:
    """Where the records of a shard start, and the end."""
    data, found = path.read_bytes(), [0]
    while found[-1] < len(data):
        size = int.from_bytes(data[found[-1] :][:8], "little")
        found.append(found[-1] + HEADER + size + FOOTER)
    return found


@pytest.mark.parametrize("place", ["first", "middle", "last", "checksum"])
def test_a_flipped_bit_of_a_jpeg_record_is_found_when_it_is_read(
    record_sets: dict[str, Path], tmp_path: Path, place: str
) -> None:
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))
    records = open_records(folder)
    shard = Path(records.paths("train")[1])
    start, end = offsets(shard)[2:4]
    places = {
        "first": start + HEADER,
        "middle": (start + end) // 2,
        "last": end - FOOTER - 1,
        "checksum": end - 1,
    }
    flip(shard, places[place])
    numbers = tf.data.Dataset.from_tensor_slices([[17, 0, 7, 3], [17, 0, 8, 3]])
    rows = open_rows(records, "train")
    batches = iter(numbers.map(lambda row: rows.fetch(row, *rows.lend())))
    # Six records a shard: the others can still be read.
    next(batches)
    with pytest.raises(tf.errors.OpError) as error:
        next(batches)
    told = str(data_error_in(error.value))
    assert told.startswith(f"{shard} is damaged at record 2, byte {start}. ")
    assert f"alexnet records verify {folder} --repair" in told


def test_a_jpeg_of_another_size_is_told_with_its_record(
    record_sets: dict[str, Path], tmp_path: Path
) -> None:
    """The manifest was changed: every record is whole, but not what it says."""
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))
    card = folder / "dataset.json"
    card.write_text(card.read_text().replace(f'"side": {SIDE}', f'"side": {SIDE + 8}'))
    records = open_records(folder)
    told = f"record 2 of {records.paths('train')[1]} cannot be used: 16 x 16 px, where"
    # In eager mode TensorFlow passes the error on, or makes one of its own of it.
    with pytest.raises((DataError, tf.errors.OpError), match=told):
        fetched(open_rows(records, "train"), [8])


@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_a_flipped_bit_of_pixels_is_found_before_any_is_read(
    record_sets: dict[str, Path], tmp_path: Path, storage: str
) -> None:
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / "records"))
    records = open_records(folder)
    shard = Path(records.paths("train")[2])
    start = offsets(shard)[4]
    flip(shard, start + 1000)
    with pytest.raises(DataError) as error:
        open_rows(records, "train")
    told = str(error.value)
    assert told.startswith(f"{shard} is damaged at record 4, byte {start}. ")
    assert f"alexnet records verify {folder} --repair" in told
    open_rows(records, "validation")


@pytest.mark.parametrize(
    "text", ["", "0 10", "0", "zero ten\n", "0 9\n9 9999999999999999999\n", "\xff"]
)
def test_an_index_that_is_not_the_shards_is_told(
    record_sets: dict[str, Path], tmp_path: Path, text: str
) -> None:
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))
    index = folder / "idx" / "train-00001-of-00003.idx"
    index.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=f"{index} is damaged: delete it"):
        open_rows(open_records(folder), "train")


def test_offsets_that_leave_a_gap_are_told(
    record_sets: dict[str, Path], tmp_path: Path
) -> None:
    """As many lines as records, ending where the shard ends."""
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))
    index = folder / "idx" / "train-00001-of-00003.idx"
    lines = [line.split() for line in index.read_text().splitlines()]
    lines[2][0] = str(int(lines[2][0]) + 1)
    index.write_text("".join(f"{start} {size}\n" for start, size in lines))
    with pytest.raises(DataError, match=f"{index} is damaged: delete it"):
        open_rows(open_records(folder), "train")


def test_a_jpeg_shard_that_cannot_be_mapped_is_told_with_the_way_out(
    record_sets: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    libc = RefusingLibc(alexnet.pipeline.read.mmap._libc(), files=1)
    records = open_records(record_sets["jpeg"])
    monkeypatch.setattr(alexnet.pipeline.read.mmap, "_libc", lambda: libc)
    with pytest.raises(DataError) as error:
        open_rows(records, "train")
    assert str(error.value) == (
        f"{records.paths('train')[1]} cannot be mapped ({os.strerror(errno.ENODEV)})."
        " Read the records with `reader='stream'`."
    )
