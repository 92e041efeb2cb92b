"""Reading finds every record once, and says which shard is not what it was."""

from __future__ import annotations

import mmap
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import tensorflow as tf

from alexnet.pipeline.config import Reader, StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.machine import Memory
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.order import epoch_key
from alexnet.pipeline.read.selection import select_all
from alexnet.pipeline.read.stream import (
    Shards,
    read_in_order,
    shuffle,
    shuffle_size,
)
from alexnet.pipeline.records.manifest import Shard, SplitCard

TRAIN = [f"train-{index:05d}-of-00003.tfrecord" for index in range(3)]
REPAIR_HINT = "Mend it with `alexnet records verify {} --repair"


@pytest.fixture
def folder(record_sets: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))


@pytest.fixture
def records(record_sets: dict[str, Path]) -> OpenedRecords:
    return open_records(record_sets["jpeg"])


def stored(records: OpenedRecords) -> list[bytes]:
    """Every train record, by TensorFlow's plainest reader."""
    files = [str(records.folder / name) for name in TRAIN]
    return [
        record
        for file in files
        for record in tf.data.TFRecordDataset(file).as_numpy_iterator()
    ]


def epoch_of(records: OpenedRecords, seed: int, epoch: int) -> list[bytes]:
    number = tf.constant(epoch, tf.int64)
    every = select_all(records, "train")
    shards = Shards(records, "train", every, range(every.num_examples))
    epoch_records = shards.interleaved(epoch_key(seed, number))
    return list(epoch_records.as_numpy_iterator())


def test_an_intact_set_opens(folder: Path) -> None:
    records = open_records(folder)
    assert records.paths("train") == [str(folder / name) for name in TRAIN]
    assert records.manifest.split("train").num_examples == 18


@pytest.mark.parametrize("name", [TRAIN[1], "validation-00000-of-00001.tfrecord"])
def test_a_missing_shard_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    message = f"{folder / name} is missing; [0-9]+ bytes are expected. {REPAIR_HINT}"
    with pytest.raises(DataError, match=message.format(folder)):
        open_records(folder)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_of_another_size_is_named(folder: Path, change: int) -> None:
    data = (folder / TRAIN[2]).read_bytes()
    size = len(data) + change
    (folder / TRAIN[2]).write_bytes((data + b"x")[:size])
    message = (
        f"{TRAIN[2]} has {size} bytes; {len(data)} bytes are expected. {REPAIR_HINT}"
    )
    with pytest.raises(DataError, match=message.format(folder)):
        open_records(folder)


def test_a_shard_whose_files_were_all_set_aside_is_not_read(
    records: OpenedRecords,
) -> None:
    card = records.manifest.splits["train"]
    empty = replace(card.shards[1], num_examples=0, num_bytes=0)
    shards = (card.shards[0], empty, card.shards[2])
    splits = {**records.manifest.splits, "train": replace(card, shards=shards)}
    holey = replace(records, manifest=replace(records.manifest, splits=splits))
    names = [Path(path).name for path in holey.paths("train")]
    assert names == [TRAIN[0], TRAIN[2]]


def test_in_order_is_in_order(records: OpenedRecords) -> None:
    found = read_in_order(records.paths("train"))
    assert list(found.as_numpy_iterator()) == stored(records)


def test_an_epoch_reads_every_record_once_shards_mixed(records: OpenedRecords) -> None:
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
        return list(shuffle(numbers, 100, epoch_key(seed, number)).as_numpy_iterator())

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
    shard = Shard("train", examples, examples * record_bytes, 0)
    card = SplitCard((shard,), (examples // 2, examples - examples // 2))
    assert shuffle_size(card, budget) == size


# --- which reader


def on(
    kind: str | None, monkeypatch: pytest.MonkeyPatch, page_bytes: int = 4096
) -> None:
    """Let every folder be on such a file system, and the machine have such pages."""
    monkeypatch.setattr("alexnet.pipeline.read.choose.file_system", lambda folder: kind)
    monkeypatch.setattr(mmap, "PAGESIZE", page_bytes)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "tmpfs", "apfs", None])
@pytest.mark.parametrize("storage", ["jpeg", "raw", "yuv420"])
def test_local_records_are_mapped(
    record_sets: dict[str, Path],
    storage: StorageName,
    kind: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on(kind, monkeypatch)
    choice = open_records(record_sets[storage]).reader()
    assert choice.name == "mmap"
    assert choice.random_access
    assert choice.reason == f"the records are {storage} on {kind or 'a local disk'}"


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "lustre"]
)
def test_records_on_a_network_are_streamed(
    records: OpenedRecords, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(kind, monkeypatch)
    records = open_records(records.folder)
    choice = records.reader()
    assert (choice.name, choice.random_access) == ("stream", False)
    assert choice.reason == f"the records are on a network ({kind})"
    # Whoever asks for it knows better.
    assert records.reader("mmap").name == "mmap"


def test_records_larger_than_the_memory_are_streamed(
    records: OpenedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("ext4", monkeypatch)
    records = open_records(records.folder)
    size = sum(path.stat().st_size for path in records.folder.glob("*.tfrecord"))
    memory = Memory(2 * size, size, limit_bytes=size)
    monkeypatch.setattr("alexnet.pipeline.read.choose.read_memory", lambda: memory)
    assert records.reader().name == "mmap"
    memory = Memory(2 * size, size, limit_bytes=size - 1)
    assert records.reader().name == "mmap"  # chosen once
    records = open_records(records.folder)
    choice = records.reader()
    assert choice.name == "stream"
    assert "of memory" in choice.reason
    # Whoever asks for it has a fast disk.
    assert records.reader("mmap").name == "mmap"


def test_originals_are_streamed(record_sets: dict[str, Path]) -> None:
    originals = open_records(record_sets["original"])
    choice = originals.reader()
    assert choice.name == "stream"
    assert "original files" in choice.reason
    with pytest.raises(ConfigError) as error:
        originals.reader("mmap")
    for words in (
        f"`reader='mmap'` cannot read {record_sets['original']}",
        "original files",
        "`reader='stream'`",
        "`storage='jpeg'`, raw or yuv420",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_pages_that_do_not_divide_a_record_are_told(
    record_sets: dict[str, Path], storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("ext4", monkeypatch, page_bytes=65_536)
    choice = open_records(record_sets[storage]).reader()
    assert choice.name == "stream"
    assert choice.reason == "this machine's pages are 65536 bytes, not 4096"
    with pytest.raises(ConfigError, match=r"65536 bytes, not 4096.*`reader='stream'`"):
        open_records(record_sets[storage]).reader("mmap")
    # JPEG records are found by an index, wherever they start.
    assert open_records(record_sets["jpeg"]).reader().name == "mmap"


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_streaming_is_always_possible(
    record_sets: dict[str, Path], storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("ext4", monkeypatch)
    choice = open_records(record_sets[storage]).reader("stream")
    assert (choice.name, choice.reason) == ("stream", "it was asked for")


@pytest.mark.parametrize("asked", ["stream", "mmap"])
def test_images_are_no_records(photos: Path, asked: Reader) -> None:
    source = open_photos(photos)
    choice = source.reader()
    assert (choice.name, choice.random_access) == ("photos", True)
    with pytest.raises(
        ConfigError, match=rf"`reader='{asked}'` .*{photos}.*records build"
    ):
        source.reader(asked)
