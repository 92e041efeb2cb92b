"""Single examples are those that evaluation meets, whatever the storage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.lookup import read_records, sample_rows
from alexnet.pipeline.read.opened_records import open_records
from tests.conftest import SIDE, flip


def records_by_hand(folder: Path, split: str) -> list[bytes]:
    """A split's records, as TensorFlow reads its shards."""
    shards = sorted(folder.glob(f"{split}-*.tfrecord"))
    return list(tf.data.TFRecordDataset(list(map(str, shards))).as_numpy_iterator())


def keys_by_hand(folder: Path, split: str) -> list[str]:
    """The names in a split's records, as protobuf reads them."""
    found = map(tf.train.Example.FromString, records_by_hand(folder, split))
    names = (
        one.features.feature["image/filename"].bytes_list.value[0] for one in found
    )
    return [name.decode() for name in names]


@pytest.mark.parametrize("storage", get_args(StorageName))
@pytest.mark.parametrize("split", ["train", "validation"])
def test_records_and_keys_by_their_numbers(
    record_sets: dict[StorageName, Path], storage: StorageName, split: str
) -> None:
    records = open_records(record_sets[storage])
    expected = records_by_hand(records.folder, split)
    rows = [len(expected) - 1, 0, 3, 3]
    assert list(read_records(records, split, rows)) == [expected[row] for row in rows]
    keys = keys_by_hand(records.folder, split)
    assert records.keys(split, range(len(keys))) == keys


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_records_without_index_files(
    record_sets: dict[StorageName, Path], storage: StorageName, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / "records"))
    shutil.rmtree(folder / "idx", ignore_errors=True)
    keys = keys_by_hand(folder, "train")
    assert open_records(folder).keys("train", [5]) == [keys[5]]


def test_photos_are_known_by_their_files(photos: Path) -> None:
    found = open_photos(photos, BuildConfig(storage="original", side=SIDE))
    keys = found.keys("validation", [1, 0])
    assert keys == [found.files["validation"][row].key for row in (1, 0)]
    assert all((photos / key).is_file() for key in keys)


@pytest.mark.parametrize("storage", ["jpeg", "raw"])
def test_a_damaged_record_is_named(
    record_sets: dict[StorageName, Path], storage: StorageName, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / "records"))
    shard = folder / "validation-00000-of-00001.tfrecord"
    if not shard.exists():
        shard = sorted(folder.glob("validation-*.tfrecord"))[0]
    flip(shard, 60)
    with pytest.raises(DataError, match=f"{shard.name} is damaged at record 0, byte 0"):
        open_records(folder).keys("validation", [0])


def test_samples_are_uniform_and_repeat() -> None:
    assert sample_rows(1000, 40, 7) == sample_rows(1000, 40, 7)
    assert sample_rows(1000, 40, 7) != sample_rows(1000, 40, 8)
    assert sorted(sample_rows(5, 40, 1)) == [0, 1, 2, 3, 4]
    rows = [row for seed in range(200) for row in sample_rows(100, 40, seed)]
    # Each of a hundred is drawn 80 times, with a standard deviation of 7.
    counts = np.bincount(rows, minlength=100)
    assert counts.sum() == 8000
    assert 45 < counts.min() <= counts.max() < 115
