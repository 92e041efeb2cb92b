"""Reading finds every record once, and says which shard is not what it was."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.manifest import Shard, SplitCard
from pipeline.reader import (
    RecordSet,
    open_records,
    read_in_order,
    read_shuffled_shards,
    shuffle,
    shuffle_size,
)

TRAIN = [f"train-{index:05d}-of-00003.tfrecord" for index in range(3)]


@pytest.fixture
def folder(record_sets: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))


@pytest.fixture
def records(record_sets: dict[str, Path]) -> RecordSet:
    return open_records(record_sets["jpeg"])


def stored(records: RecordSet) -> list[bytes]:
    """Every train record, by TensorFlow's plainest reader."""
    files = [str(records.folder / name) for name in TRAIN]
    return [
        record
        for file in files
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator()
    ]


def epoch_of(records: RecordSet, seed: int, epoch: int) -> list[bytes]:
    number = tf.constant(epoch, tf.int64)
    found = read_shuffled_shards(records.paths("train"), seed, number)
    return list(found.as_numpy_iterator())


def test_an_intact_set_opens(folder: Path) -> None:
    records = open_records(folder)
    assert records.paths("train") == [str(folder / name) for name in TRAIN]
    assert records.manifest.split("train").num_examples == 18


@pytest.mark.parametrize("name", [TRAIN[1], "validation-00000-of-00001.tfrecord"])
def test_a_missing_shard_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(
        DataError, match=f"{name} is missing; [0-9]+ bytes are expected"
    ):
        open_records(folder)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_of_another_size_is_named(folder: Path, change: int) -> None:
    data = (folder / TRAIN[2]).read_bytes()
    size = len(data) + change
    (folder / TRAIN[2]).write_bytes((data + b"x")[:size])
    message = f"{TRAIN[2]} has {size} bytes; {len(data)} bytes are expected"
    with pytest.raises(DataError, match=message):
        open_records(folder)


def test_in_order_is_in_order(records: RecordSet) -> None:
    found = read_in_order(records.paths("train"))
    assert list(found.as_numpy_iterator()) == stored(records)


def test_an_epoch_reads_every_record_once_shards_mixed(records: RecordSet) -> None:
    plain = stored(records)
    epochs = [epoch_of(records, 1, epoch) for epoch in range(6)]
    for found in epochs:
        assert Counter(found) == Counter(plain)
        # Four of six records of each shard come before the last two of any.
        shards = [plain.index(record) // 6 for record in found]
        assert Counter(shards[:12]) == {0: 4, 1: 4, 2: 4}
    assert len({tuple(found) for found in epochs}) > 1
    assert epochs[3] == epoch_of(records, 1, 3)


def test_a_shuffle_belongs_to_its_epoch() -> None:
    numbers = tf.data.Dataset.range(100)

    def shuffled(seed: int, epoch: int) -> list[int]:
        number = tf.constant(epoch, tf.int64)
        return list(shuffle(numbers, 100, seed, number).as_numpy_iterator())

    found = shuffled(1, 0)
    assert sorted(found) == list(range(100))
    assert found == shuffled(1, 0)
    assert len({tuple(shuffled(*pair)) for pair in [(1, 0), (1, 1), (2, 0)]}) == 3


@pytest.mark.parametrize(
    ("examples", "record_bytes", "budget", "size"),
    [
        (100, 1000, 2**30, 100),  # all of them
        (10**6, 1000, 2**30, 16_384),  # more mix no better
        (10**6, 2**20, 2**30, 512),  # half of the budget
        (10**6, 2**28, 2**26, 1),  # never none
    ],
)
def test_the_shuffle_buffer_keeps_to_its_budget(
    examples: int, record_bytes: int, budget: int, size: int
) -> None:
    card = SplitCard((Shard("train", examples, examples * record_bytes, 0),), ())
    assert shuffle_size(card, budget) == size
