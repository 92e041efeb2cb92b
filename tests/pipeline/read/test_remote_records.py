"""Record sets in a store against the same sets in a folder: bit by bit."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fsspec.asyn import get_loop

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig, Reader, StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.read.choose import OPEN_SHARDS
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.records.arrivals import AHEAD
from alexnet.pipeline.remote import cache as caches
from alexnet.pipeline.remote import retry
from alexnet.pipeline.remote.held import evict
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, await_garbage, flip, slow, smooth_photo
from tests.web_store import WebStore, serve

PHOTOS, SHARDS, BATCH = 200, 30, 16
STEPS = PHOTOS * 3 // 4 // BATCH
STORAGES: list[StorageName] = ["jpeg", "raw", "yuv420", "original"]
CONFIG = ReadConfig(batch_size=BATCH)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets of every storage, of more shards than a stream has open at a time."""
    photos, folder = tmp_path_factory.mktemp("many"), tmp_path_factory.mktemp("bucket")
    for number in range(PHOTOS):
        path = photos / f"{('cat', 'dog')[number % 2]}.{number}.png"
        smooth_photo(number, SIDE + number % 3, SIDE).save(path)
    for storage in STORAGES:
        config = BuildConfig(storage=storage, side=SIDE, shards=SHARDS)
        build(scan(photos), folder / storage, config, workers=1)
    return folder


@pytest.fixture
def store(bucket: Path) -> Iterator[WebStore]:
    with serve(bucket) as store:
        yield store


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(caches, "ROOM_SECONDS", 5)


def remote(
    store: WebStore, cache: Path, storage: str = "raw", limit: int = 2**30
) -> OpenedRecords:
    return open_records(f"{store.url}/{storage}", cache=cache, cache_limit=limit)


def batches(
    records: OpenedRecords,
    config: ReadConfig,
    count: int,
    epoch: int = 0,
    step: int = 0,
    shard: PipelineShard | None = None,
) -> list[Any]:
    dataset = train_dataset(records, config, shard, None, epoch, step)
    return list(dataset.take(count).as_numpy_iterator())


def assert_same(left: list[Any], right: list[Any]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


# Storages, what is asked for, and what reads a folder alike; the others differ little.
WAYS = [
    ("raw", "mmap", "mmap"),
    *(slow("raw", "stream", "stream"), slow("original", "auto", "stream")),
    *(slow(kind, "auto", "stream-first") for kind in ("jpeg", "raw", "yuv420")),
    slow("jpeg", "mmap", "mmap"),
]


@pytest.mark.parametrize(("storage", "asked", "local"), WAYS)
def test_batches_are_those_of_a_folder_and_shards_come_once(
    storage: StorageName,
    asked: Reader,
    local: Reader,
    bucket: Path,
    store: WebStore,
    tmp_path: Path,
) -> None:
    count = 2 * STEPS + STEPS // 2
    here = ReadConfig(batch_size=BATCH, reader=local)
    expected = batches(open_records(bucket / storage), here, count)
    records = remote(store, tmp_path, storage)
    config = ReadConfig(batch_size=BATCH, reader=asked)
    assert records.reader(asked).name == local
    assert_same(batches(records, config, count), expected)
    assert set(store.shards_sent.values()) == {1}
    for split in ("train", "validation"):
        held_out = eval_dataset(records, config, split).as_numpy_iterator()
        there = eval_dataset(open_records(bucket / storage), here, split)
        assert_same(list(held_out), list(there.as_numpy_iterator()))
    assert set(store.shards_sent.values()) == {1}
    assert len(store.shards_sent) == len(records.manifest.shards)


def test_streaming_first_is_a_streamed_epoch_and_then_mapped_ones(bucket: Path) -> None:
    records = open_records(bucket / "raw")
    first, streamed, mapped = (
        batches(records, ReadConfig(batch_size=BATCH, reader=reader), 3 * STEPS)
        for reader in ("stream-first", "stream", "mmap")
    )
    assert_same(first, streamed[:STEPS] + mapped[STEPS:])


@pytest.mark.parametrize(
    ("epoch", "step"),
    [
        (1, 0),
        *itertools.starmap(slow, ((0, 3), (0, STEPS - 1), (2, 2))),
    ],
)
@pytest.mark.parametrize("replicas", [1, slow(2)])
def test_resuming_with_an_empty_cache_goes_on_as_an_unbroken_run(
    epoch: int, step: int, replicas: int, store: WebStore, tmp_path: Path
) -> None:
    shard = PipelineShard(BATCH, num_replicas=replicas)
    done = (epoch * STEPS + step) * replicas
    whole = batches(
        remote(store, tmp_path / "one"), CONFIG, 3 * STEPS * replicas, shard=shard
    )
    resumed = remote(store, tmp_path / "other")
    left = 3 * STEPS * replicas - done
    assert_same(batches(resumed, CONFIG, left, epoch, step, shard), whole[done:])


@pytest.mark.slow
def test_the_first_batch_does_not_wait_for_the_last_shard(
    bucket: Path, store: WebStore, tmp_path: Path
) -> None:
    train = [shard.name for shard in open_records(bucket / "raw").shards("train")]
    config = ReadConfig(batch_size=4, ram_budget_bytes=2**26)
    next(iter(train_dataset(remote(store, tmp_path), config)))
    assert set(store.shards_sent) <= set(train)


def cached(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tfrecord"))


@pytest.mark.slow
def test_a_set_larger_than_the_cache_streams_through_it(
    bucket: Path, store: WebStore, tmp_path: Path
) -> None:
    local = open_records(bucket / "raw")
    largest = max(shard.num_bytes for shard in local.manifest.shards)
    limit = (OPEN_SHARDS + AHEAD + 1) * largest
    assert limit < local.num_bytes
    records = remote(store, tmp_path, limit=limit)
    assert records.reader().name == "stream"
    here = ReadConfig(batch_size=BATCH, reader="stream")
    expected = batches(local, here, 2 * STEPS)
    found = []
    for batch in train_dataset(records, CONFIG).take(2 * STEPS).as_numpy_iterator():
        found.append(batch)
        assert records.remote and records.remote.cache._held_bytes <= limit
    assert_same(found, expected)
    # Once an epoch, of which the third has begun.
    assert max(store.shards_sent.values()) <= 3
    for reader in ("mmap", "stream-first"):
        with pytest.raises(ConfigError, match=rf"`reader='{reader}'` cannot read http"):
            records.reader(reader)
    with pytest.raises(ConfigError, match=r"22 shards are in use at a time"):
        remote(store, tmp_path / "other", limit=3 * largest).reader()


@pytest.mark.slow
def test_with_all_of_it_in_the_cache_no_store_is_needed(
    bucket: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(bucket) as store:
        records = remote(store, tmp_path)
        records.bring("train")
        url = store.url
    caplog.clear()
    again = open_records(f"{url}/raw", cache=tmp_path)
    assert f"{url}/raw does not answer: reading what" in caplog.text
    assert again.manifest == records.manifest
    here = ReadConfig(batch_size=BATCH, reader="stream-first")
    expected = batches(open_records(bucket / "raw"), here, 2 * STEPS)
    assert_same(batches(again, CONFIG, 2 * STEPS), expected)
    with pytest.raises(DataError, match="has not answered"):
        open_records(f"{url}/jpeg", cache=tmp_path)


@pytest.mark.slow
def test_another_set_at_the_address_is_noticed(
    bucket: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "bucket" / "set"
    shutil.copytree(bucket / "raw", place)
    with serve(tmp_path / "bucket") as store:
        url, cache = f"{store.url}/set", tmp_path / "cache"
        first = open_records(url, cache=cache)
        first.bring("train")
        shutil.rmtree(place)
        shutil.copytree(bucket / "yuv420", place)
        second = open_records(url, cache=cache)
        assert "holds another set than the cached one" in caplog.text
        second.bring("train")
        assert second.folder != first.folder
        local = open_records(bucket / "yuv420")
        here = ReadConfig(batch_size=BATCH, reader="stream-first")
        assert_same(batches(second, CONFIG, STEPS), batches(local, here, STEPS))
        # What was there goes on being read.
        assert_same(
            batches(first, CONFIG, STEPS),
            batches(open_records(bucket / "raw"), here, STEPS),
        )


def test_a_shard_that_is_wrong_in_the_store_is_named(
    store: WebStore, tmp_path: Path
) -> None:
    records = remote(store, tmp_path)
    name = records.shards("train")[3].name
    store.spoilt[name] = 99
    with (
        pytest.raises(DataError, match=rf"/raw/{name} arrived 3 times"),
        reading(records),
    ):
        batches_of = train_dataset(records, CONFIG).take(STEPS)
        list(batches_of)
    store.spoilt.clear()
    batches(records, CONFIG, STEPS)


@pytest.mark.slow
def test_a_store_that_is_gone_for_a_while_is_a_pause_and_for_long_an_error(
    store: WebStore, tmp_path: Path
) -> None:
    records = remote(store, tmp_path / "one")
    store.failures = 10
    batches(records, CONFIG, 1)
    records = remote(store, tmp_path / "other")
    store.failures = float("inf")
    with pytest.raises(DataError, match="has not answered for"), reading(records):
        list(train_dataset(records, CONFIG).take(STEPS))
    store.failures = 0
    batches(records, CONFIG, STEPS)


@pytest.mark.parametrize("storage", [slow("raw"), "jpeg"])
def test_rot_in_the_cache_is_found_and_the_remedy_is_to_delete_it(
    storage: StorageName, store: WebStore, tmp_path: Path
) -> None:
    records = remote(store, tmp_path, storage)
    records.bring("train")
    path = records.folder / records.shards("train")[0].name
    flip(path, path.stat().st_size // 2)
    again = remote(store, tmp_path, storage)
    config = ReadConfig(batch_size=BATCH, reader="mmap")
    remedy = r"Delete that file: it will be fetched from http"
    with pytest.raises(DataError, match=remedy), reading(again):
        list(train_dataset(again, config).take(STEPS))
    path.unlink()
    batches(again, config, STEPS)


@pytest.mark.slow
def test_labels_keys_and_selections_are_those_of_a_folder(
    bucket: Path, store: WebStore, tmp_path: Path
) -> None:
    here, there = open_records(bucket / "jpeg"), remote(store, tmp_path, "jpeg")
    assert there.keys("validation", [3, 1]) == here.keys("validation", [3, 1])
    assert there.keys("train") == here.keys("train")
    np.testing.assert_array_equal(there.labels("train"), here.labels("train"))
    chosen: dict[str, Any] = {"classes": ["dog"], "batch_size": 8, "keys": True}
    expected = here.train(**chosen, reader="stream-first").dataset.take(12)
    found = there.train(**chosen).dataset.take(12)
    assert_same(list(found.as_numpy_iterator()), list(expected.as_numpy_iterator()))


@pytest.mark.slow
def test_a_dataset_that_is_dropped_lets_shards_go(
    store: WebStore, tmp_path: Path
) -> None:
    def locked() -> bool:
        path = next(iter(cached(tmp_path)))
        return not evict(path)

    records = remote(store, tmp_path)
    dataset = train_dataset(records, CONFIG)
    iterator = iter(dataset)
    for _ in range(STEPS + 1):
        next(iterator)
    assert locked()
    del records
    assert locked()
    del dataset, iterator
    assert await_garbage(lambda: not locked())


def fail(iterator: Iterator[Any]) -> None:
    with suppress(tf.errors.OpError):
        next(iterator)
        pytest.fail("there is no store")


@pytest.mark.slow
def test_an_iterator_may_be_dropped_by_the_thread_that_it_waits_for(
    store: WebStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python collects garbage in any thread, also in one that all transfers need."""
    records = remote(store, tmp_path)
    store.failures = float("inf")
    held, dropped = [iter(train_dataset(records, CONFIG))], threading.Event()
    fail(held[0])
    # It goes on in the background, and waits.
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 1000)
    monkeypatch.setattr(retry, "LONGEST_WAIT_SECONDS", 0.1)
    time.sleep(0.2)

    def drop() -> None:
        held.clear()
        dropped.set()

    get_loop().call_soon_threadsafe(drop)
    assert dropped.wait(250)
    store.failures = 0
    batches(records, CONFIG, 1)


BRING = """
import sys
from alexnet.pipeline.read.opened_records import open_records
records = open_records(sys.argv[1], cache=sys.argv[2])
for split in ("train", "validation"):
    records.bring(split)
"""


@pytest.mark.slow
def test_two_processes_share_a_cache_and_fetch_each_shard_once(
    bucket: Path, store: WebStore, tmp_path: Path
) -> None:
    store.bytes_per_second = 2**21
    command = [sys.executable, "-c", BRING, f"{store.url}/raw", str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    names = {shard.name for shard in open_records(bucket / "raw").manifest.shards}
    assert store.shards_sent == dict.fromkeys(names, 1)
    for path in cached(tmp_path):
        assert path.read_bytes() == (bucket / "raw" / path.name).read_bytes()


def test_credentials_stay_out_of_the_cache(store: WebStore, tmp_path: Path) -> None:
    url = store.url.replace("http://", "http://me:secret@") + "/raw?token=hidden"
    records = open_records(url, cache=tmp_path)
    records.bring("validation")
    texts = [path.name for path in tmp_path.rglob("*")]
    texts += [path.read_text() for path in tmp_path.rglob("*.json")]
    for text in (str(records.place), repr(records.remote), *texts):
        assert "secret" not in text
        assert "hidden" not in text


def test_a_data_service_is_refused(store: WebStore, tmp_path: Path) -> None:
    records = remote(store, tmp_path)
    for make in (train_dataset, eval_dataset):
        with pytest.raises(ConfigError, match="a data service reads record sets in f"):
            make(records, CONFIG, data_service="localhost:1")
