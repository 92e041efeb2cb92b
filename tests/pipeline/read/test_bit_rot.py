"""No damaged byte is trained on: a batch is what was written, or none comes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.config import ReadConfig, Reader, StorageName
from alexnet.pipeline.errors import DataError, data_error_in
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.opened_records import open_records
from tests.conftest import flip, slow, soak
from tests.pipeline.read.test_dataset import WAYS
from tests.pipeline.verify.test_damage import remove_indexes

BATCH = 6
EPOCH = 18 // BATCH


def everything(folder: Path, reader: Reader) -> list[np.ndarray]:
    """An epoch's batches, then those of the validation: images, labels, weights."""
    records, config = open_records(folder), ReadConfig(batch_size=BATCH, reader=reader)
    train = train_dataset(records, config).take(EPOCH).as_numpy_iterator()
    held_out = eval_dataset(records, config).as_numpy_iterator()
    return [array for batch in (*train, *held_out) for array in batch]


def refused(folder: Path, reader: Reader, whole: list[np.ndarray]) -> bool:
    """Whether reading ends with an error; else all must be what was written."""
    try:
        found = everything(folder, reader)
    except (DataError, tf.errors.DataLossError):
        return True
    except tf.errors.OpError as error:
        assert "is damaged at record" in str(data_error_in(error))
        return True
    for ours, theirs in zip(found, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return False


@pytest.mark.parametrize("flips", [4, slow(10), soak(150)])
@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_a_flipped_byte_is_never_trained_on(
    record_sets: dict[StorageName, Path],
    tmp_path: Path,
    storage: StorageName,
    reader: Reader,
    flips: int,
) -> None:
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / "set"))
    whole = everything(folder, reader)
    draw = random.Random(f"{storage} {reader} {flips}")
    shards, told = sorted(folder.glob("*.tfrecord")), 0
    for turn in range(flips):
        if turn == flips // 2:
            remove_indexes(folder)
        path = draw.choice(shards)
        at, bits = draw.randrange(path.stat().st_size), draw.randrange(1, 256)
        flip(path, at, bits)
        told += refused(folder, reader, whole)
        flip(path, at, bits)
    # A mapped JPEG is found without the twelve bytes in front of its record.
    by_index = (storage, reader) == ("jpeg", "mmap")
    assert told > flips / 2 if by_index else told == flips


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_a_shard_that_lost_its_end_is_never_trained_on(
    record_sets: dict[StorageName, Path],
    tmp_path: Path,
    storage: StorageName,
    reader: Reader,
) -> None:
    """Zeros, as a file has them whose last blocks did not reach the disk."""
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / "set"))
    shard = max(folder.glob("train-*.tfrecord"))
    whole, size = everything(folder, reader), shard.stat().st_size
    with shard.open("r+b") as file:
        file.truncate(size // 2)
        file.truncate(size)
    assert refused(folder, reader, whole)
