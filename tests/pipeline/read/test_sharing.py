"""Workers share the reading: each its part, and all of them every example once."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig, Reader, StorageName
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.order import PipelineShard, epoch_key
from alexnet.pipeline.read.selection import select, select_all
from alexnet.pipeline.read.stream import Shards
from alexnet.pipeline.source.scan import scan
from tests.conftest import slow

# Of 18 examples in three shards: pipelines, replicas and examples of a global batch.
SHARES = [
    *((1, 1, 4), (2, 4, 8), (3, 3, 6)),
    *map(slow, ((2, 2, 4), (4, 4, 4), (5, 10, 10), (9, 9, 9))),
]
IO = Path("/proc/self/io")


def pipelines_of(share: tuple[int, int, int]) -> list[PipelineShard]:
    pipelines, replicas, batch_size = share
    return [
        PipelineShard(batch_size, replicas, pipelines, index)
        for index in range(pipelines)
    ]


def keys_by_epoch(
    records: OpenedRecords, shard: PipelineShard, reader: Reader, epochs: int
) -> list[list[bytes]]:
    """The keys of the examples that a pipeline delivers in each epoch."""
    numbers = {name: number for number, name in enumerate(records.class_names)}
    selection = select(records, "train", numbers, keys=True)
    config = ReadConfig(batch_size=shard.batch_size, reader=reader)
    batches = 18 // shard.batch_size * shard.replicas_here
    dataset = train_dataset(records, config, shard, selection=selection)
    taken = dataset.take(epochs * batches).as_numpy_iterator()
    keys = [batch[-1].tolist() for batch in taken]
    assert {len(batch) for batch in keys} == {shard.per_replica}
    return [
        list(itertools.chain.from_iterable(keys[first : first + batches]))
        for first in range(0, epochs * batches, batches)
    ]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(
    ("storage", "reader"),
    [("raw", "mmap"), slow("raw", "stream"), slow("jpeg", "stream")],
)
def test_all_workers_deliver_every_example_once_an_epoch(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    reader: Reader,
    share: tuple[int, int, int],
) -> None:
    """But those that fill no batch; for more workers than shards as well."""
    records = open_records(record_sets[storage])
    shards = pipelines_of(share)
    delivered = [keys_by_epoch(records, shard, reader, 3) for shard in shards]
    for epoch in zip(*delivered, strict=True):
        keys = list(itertools.chain.from_iterable(epoch))
        assert len(set(keys)) == len(keys) == 18 // share[2] * share[2]
    epochs = {tuple(map(tuple, epoch)) for epoch in zip(*delivered, strict=True)}
    assert len(epochs) == 3
    if reader == "stream":
        every = [key.encode() for key in records.keys("train")]
        for shard, orders in zip(shards, delivered, strict=True):
            part = shard.part(18)
            assert set().union(*orders) <= set(every[part.start : part.stop])


def test_no_two_workers_mix_their_parts_alike(large_records: Path) -> None:
    """Or an example would always come with the same ones of the other parts."""
    records = open_records(large_records)
    every, orders = [key.encode() for key in records.keys("train")], []
    for shard in pipelines_of((2, 2, 2)):
        (keys,) = keys_by_epoch(records, shard, "stream", 1)
        orders.append([every.index(key) - shard.part(18).start for key in keys])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(9))
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    "batch_size",
    [9, *map(slow, (18, 27))],
)
@pytest.mark.parametrize("pipelines", [slow(1), 3, slow(9)])
@pytest.mark.parametrize("reader", ["stream", "mmap"])
def test_all_workers_evaluate_every_example_once(
    record_sets: dict[StorageName, Path],
    reader: Reader,
    pipelines: int,
    batch_size: int,
) -> None:
    """Of 18 and of 6 examples: some workers have none, and as many batches."""
    records = open_records(record_sets["raw"])
    config = ReadConfig(batch_size=batch_size, reader=reader)
    for split in ("train", "validation"):
        whole = eval_dataset(records, config, split, pad=False)
        expected = [image.tobytes() for images, _ in whole for image in images.numpy()]
        found, lengths = [], []
        for shard in pipelines_of((pipelines, pipelines, batch_size)):
            batches = list(eval_dataset(records, config, split, shard))
            lengths.append(len(batches))
            for images, _, weights in batches:
                kept = images.numpy()[weights.numpy() > 0]
                found += [image.tobytes() for image in kept]
        assert found == expected
        assert lengths == [-(-len(expected) // batch_size)] * pipelines


@pytest.mark.parametrize("reader", ["stream", "mmap"])
def test_a_selection_is_shared_out_too(
    record_sets: dict[StorageName, Path], reader: Reader
) -> None:
    """One class of two, among two workers."""
    records = open_records(record_sets["jpeg"])
    selection = select(records, "train", {records.class_names[1]: 0}, keys=True)
    assert selection.rows is not None
    expected = [records.keys("train")[row].encode() for row in selection.rows]
    config, found = ReadConfig(batch_size=2, reader=reader), []
    for shard in pipelines_of((2, 2, 2)):
        steps = selection.num_examples // 2
        dataset = train_dataset(records, config, shard, selection=selection)
        found += [key for batch in dataset.take(steps) for key in batch[-1].numpy()]
    assert len(found) == selection.num_examples // 2 * 2
    assert set(found) <= set(expected)
    assert len(set(found)) == len(found)


# --- what a worker reads


def test_a_worker_opens_its_own_shards_alone(
    record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    """The others' are gone."""
    folder = Path(shutil.copytree(record_sets["jpeg"], tmp_path / "records"))
    records = open_records(folder)
    config = ReadConfig(batch_size=9, reader="stream")
    shard = PipelineShard(9, 3, 3, 1)
    for number in (0, 2):
        (folder / f"train-0000{number}-of-00003.tfrecord").unlink()
    assert len(list(train_dataset(records, config, shard).take(4))) == 4
    assert len(list(eval_dataset(records, config, "train", shard))) == 2


@pytest.fixture(scope="module")
def large_records(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 records of 36 pages, in two shards."""
    folder = tmp_path_factory.mktemp("large")
    config = BuildConfig(storage="raw", side=220, shards=2)
    build(scan(photos), folder, config, workers=1)
    return folder


def bytes_read(dataset: tf.data.Dataset) -> int:
    """What this process asks the system for while it goes through a dataset."""
    before = _asked_for()
    for _ in dataset:
        pass
    return _asked_for() - before


def _asked_for() -> int:
    return int(dict(line.split(": ") for line in IO.read_text().splitlines())["rchar"])


@pytest.mark.skipif(not IO.exists(), reason="the system counts no bytes")
@pytest.mark.parametrize("pipelines", [1, 2, 3, 6, 9])
def test_a_worker_reads_its_share_of_the_bytes(
    large_records: Path, pipelines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the last buffer of each of two shards, and what Python itself reads."""
    buffer = 4096
    monkeypatch.setattr("alexnet.pipeline.read.stream.READ_BUFFER_BYTES", buffer)
    records = open_records(large_records)
    every = select_all(records, "train")
    share = records.manifest.split("train").num_bytes // pipelines
    for shard in pipelines_of((pipelines, pipelines, pipelines)):
        own = Shards(records, "train", every, shard.part(18))
        for dataset in (own.in_order(), own.interleaved(epoch_key(1, tf.constant(0)))):
            found = bytes_read(dataset)
            assert share <= found <= share + 2 * buffer + 8192


def test_a_worker_fetches_its_rows_alone(
    record_sets: dict[StorageName, Path], decoded: list[int]
) -> None:
    records = open_records(record_sets["jpeg"])
    config = ReadConfig(batch_size=6, reader="mmap")
    for shard in pipelines_of((3, 3, 6)):
        decoded.clear()
        list(eval_dataset(records, config, "train", shard))
        assert sum(decoded) == 18 // 3
