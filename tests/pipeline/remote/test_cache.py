"""A cache of files from a store: whole, under its limit, fetched once."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from alexnet.pipeline.errors import DataError, RemoteError
from alexnet.pipeline.remote import cache as caches
from alexnet.pipeline.remote import retry
from alexnet.pipeline.remote.cache import Cache, open_cache
from alexnet.pipeline.remote.held import Held, hold_all
from alexnet.pipeline.remote.location import Location
from tests.web_store import WebStore, serve

SIZE = 30_000
NAMES = [f"train-0000{number}-of-00006.tfrecord" for number in range(6)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WebStore]:
    folder = tmp_path / "bucket" / "set"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        folder.joinpath(name).write_bytes(np.random.default_rng(number).bytes(SIZE))
    with serve(tmp_path / "bucket") as store:
        yield store


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """One with room for three and a half files."""
    return open_cache(tmp_path / "cache", 3 * SIZE + SIZE // 2)


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(caches, "ROOM_SECONDS", 0.1)
    monkeypatch.setattr(caches, "POLL_SECONDS", 0.01)


def place_of(cache: Cache, store: WebStore, name: str) -> Path:
    folder = cache.home(Location(f"{store.url}/set")) / "version"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def hold(cache: Cache, store: WebStore, name: str) -> Held:
    path = store.folder / "set" / name
    checksum = google_crc32c.value(path.read_bytes())
    source = Location(f"{store.url}/set/{name}")
    return cache.hold(source, place_of(cache, store, name), SIZE, checksum)


def files(cache: Cache) -> list[str]:
    """The files that are there, whatever their kind, but for an empty lock."""
    found = [path for path in cache.folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in found if path.name != "in-use")


def test_a_file_is_fetched_once_and_has_the_bytes_of_the_store(
    cache: Cache, store: WebStore
) -> None:
    for _ in range(2):
        hold(cache, store, NAMES[0])
    held = place_of(cache, store, NAMES[0]).read_bytes()
    assert held == store.folder.joinpath("set", NAMES[0]).read_bytes()
    assert store.sent == {NAMES[0]: 1}
    assert files(cache) == [NAMES[0]]


def test_what_was_used_longest_ago_goes_first(cache: Cache, store: WebStore) -> None:
    for name in (*NAMES[:3], NAMES[0], NAMES[3]):
        hold(cache, store, name)
    assert files(cache) == [NAMES[0], NAMES[2], NAMES[3]]


def test_what_is_held_stays(cache: Cache, store: WebStore) -> None:
    held = hold(cache, store, NAMES[0])
    for name in NAMES[1:]:
        hold(cache, store, name)
    assert files(cache) == [NAMES[0], *NAMES[4:]]
    held.release()
    hold(cache, store, NAMES[1])
    assert files(cache) == [NAMES[1], *NAMES[4:]]


def test_no_file_of_a_folder_in_use_goes(cache: Cache, store: WebStore) -> None:
    hold(cache, store, NAMES[0])
    whole = hold_all(place_of(cache, store, NAMES[0]).parent)
    for name in NAMES[1:3]:
        hold(cache, store, name)
    with pytest.raises(DataError, match=r"no room for train-00003.* Running proc"):
        hold(cache, store, NAMES[3])
    assert files(cache) == NAMES[:3]
    del whole
    hold(cache, store, NAMES[3])
    assert files(cache) == NAMES[1:4]


def test_a_full_disk_makes_room_too(
    cache: Cache, store: WebStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(cache.folder, 100 * SIZE)
    for name in NAMES[:3]:
        hold(cache, store, name)
    usage = shutil.disk_usage(cache.folder)
    free = usage._replace(free=SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    hold(cache, store, NAMES[3])
    assert files(cache) == NAMES[1:4]
    lacking = usage._replace(free=-3 * SIZE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: lacking)
    with pytest.raises(DataError, match="has no room for"):
        hold(cache, store, NAMES[4])


def test_what_lies_beside_is_nobodys_business(cache: Cache, store: WebStore) -> None:
    """A folder for a cache may hold other things, record sets among them."""
    other = cache.folder / "sets" / "mine" / NAMES[0]
    other.parent.mkdir(parents=True)
    other.write_bytes(bytes(10 * SIZE))
    for name in NAMES:
        hold(cache, store, name)
    assert other.stat().st_size == 10 * SIZE


def test_wrong_bytes_are_fetched_again_and_then_named(
    cache: Cache, store: WebStore
) -> None:
    store.spoilt.update({NAMES[0]: 1, NAMES[1]: 99})
    hold(cache, store, NAMES[0])
    assert store.sent[NAMES[0]] == 2
    with pytest.raises(RemoteError, match=rf"/set/{NAMES[1]} arrived 3 times with"):
        hold(cache, store, NAMES[1])
    assert files(cache) == [NAMES[0]]


def test_a_cut_connection_and_a_short_outage_are_gone_over(
    cache: Cache, store: WebStore
) -> None:
    store.cut[NAMES[0]] = 2
    hold(cache, store, NAMES[0])
    store.failures = 3
    hold(cache, store, NAMES[1])
    assert files(cache) == NAMES[:2]


def test_a_store_that_is_gone_for_long_ends_it_and_it_can_be_gone_on_with(
    cache: Cache, store: WebStore
) -> None:
    store.failures = float("inf")
    with pytest.raises(RemoteError, match=r"has not answered for .* to go on"):
        hold(cache, store, NAMES[0])
    assert files(cache) == []
    store.failures = 0
    hold(cache, store, NAMES[0])
    assert files(cache) == [NAMES[0]]


def test_a_file_that_is_missing_is_named(cache: Cache, store: WebStore) -> None:
    source = Location(f"{store.url}/set/gone.tfrecord")
    with pytest.raises(
        DataError, match=r"gone.tfrecord could not be fetched .* No such"
    ):
        cache.hold(source, place_of(cache, store, "gone.tfrecord"), 1, 0)


def test_threads_and_processes_fetch_a_file_once(cache: Cache, store: WebStore) -> None:
    store.bytes_per_second = 10 * SIZE
    threads = [
        threading.Thread(target=hold, args=(cache, store, name))
        for name in (*NAMES[:3], *NAMES[2::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.sent == dict.fromkeys(NAMES[:3], 1)


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(
    cache: Cache, store: WebStore
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    target = place_of(cache, store, NAMES[0])
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, hard))
    try:
        with pytest.raises(DataError, match="could not be fetched into the cache"):
            hold(cache, store, NAMES[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(cache) == []
    hold(cache, store, NAMES[0])
    assert target.stat().st_size == SIZE


FETCH = """
import sys
from pathlib import Path
from alexnet.pipeline.remote.cache import Cache
from alexnet.pipeline.remote.location import Location
url, target, cache, size, checksum = sys.argv[1:]
Cache(Path(cache), 10**9).hold(Location(url), Path(target), int(size), int(checksum))
"""


def test_a_killed_process_leaves_no_name_and_keeps_nobody_out(
    cache: Cache, store: WebStore
) -> None:
    data = store.folder.joinpath("set", NAMES[0]).read_bytes()
    target = place_of(cache, store, NAMES[0])
    words = (f"{store.url}/set/{NAMES[0]}", target, cache.folder, SIZE)
    command = [sys.executable, "-c", FETCH, *words, google_crc32c.value(data)]
    store.bytes_per_second = SIZE / 60
    process = subprocess.Popen([str(word) for word in command])
    while not store.sent[NAMES[0]]:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not target.exists()
    store.bytes_per_second = float("inf")
    hold(cache, store, NAMES[1])  # it clears up
    assert files(cache) == [NAMES[1]]
    hold(cache, store, NAMES[0])
    assert target.read_bytes() == data


def test_without_a_limit_a_tenth_of_the_disk_is_left(
    tmp_path: Path, store: WebStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    usage = shutil.disk_usage(tmp_path)._replace(total=100, used=60, free=40)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    cache = open_cache(None, None)
    assert cache == Cache(tmp_path / "home" / "alexnet", 30)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be made: .* another `cache`"):
        open_cache(tmp_path / "file", None)
