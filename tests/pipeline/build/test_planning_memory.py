"""Planning takes as much memory for many files as for few."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alexnet.pipeline.build.plan import make_plan
from alexnet.pipeline.build.state import source_fingerprint
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.source.stores import Entry, FolderStore
from tests.conftest import slow

NUM_FOLDERS = 50
# In a list each would have about 200.
MOST_BYTES_A_FILE = 16


class MadeUpStore(FolderStore):
    """A folder of files that are listed and not there."""

    def __init__(self, keys: Iterator[str]) -> None:
        super().__init__(Path("/nowhere"))
        self.keys = keys

    def entries(self, leave_out: Callable[[str], None]) -> Iterator[Entry]:
        return (Entry(key, 1000) for key in self.keys)

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        return b"no image"


def in_class_folders(number: int) -> Iterator[str]:
    """Photos, and a text beside each."""
    for n in range(number // 2):
        yield from (f"class{n % NUM_FOLDERS}/{n:09}.{end}" for end in ("jpg", "txt"))


def in_splits(number: int) -> Iterator[str]:
    """A third without labels, in a folder of its own."""
    folders = [f"train/{n}" for n in range(NUM_FOLDERS)] + ["test/all"] * 25
    return (f"{folders[n % 75]}/photo-{n:09}.jpg" for n in range(number))


def by_their_names(number: int) -> Iterator[str]:
    """Every tenth cannot be told, and is set aside."""
    names = ("cat", "dog", "st.bernard")
    return (
        f"{n:09}.jpg" if n % 10 == 0 else f"{names[n % 3]}.{n:09}.jpg"
        for n in range(number)
    )


@pytest.mark.parametrize(
    "keys", [slow(in_class_folders), slow(in_splits), by_their_names]
)
def test_memory_does_not_grow_with_the_number_of_files(
    monkeypatch: pytest.MonkeyPatch, keys: Callable[[int], Iterator[str]]
) -> None:
    monkeypatch.setattr("alexnet.pipeline.table.CHUNK_ROWS", 16)
    monkeypatch.setattr("alexnet.pipeline.table.RUN_ROWS", 512)
    few, many = (peak_bytes(monkeypatch, keys(number)) for number in (2_000, 8_000))
    assert many - few < 6_000 * MOST_BYTES_A_FILE


def peak_bytes(monkeypatch: pytest.MonkeyPatch, keys: Iterator[str]) -> int:
    """The most memory at a time, from the listing to the last shard's last file."""
    store = MadeUpStore(keys)
    monkeypatch.setattr("alexnet.pipeline.source.scan.open_store", lambda path: store)
    tracemalloc.start()
    source = scan(Path("/nowhere"))
    source_fingerprint(source)
    plan = make_plan(source.files, source.class_names, BuildConfig())
    planned = sum(1 for shard in plan.shards for _ in shard.files)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert planned == plan.num_files == len(source.files) > 0
    return peak
