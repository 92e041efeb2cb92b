"""Memory, against memory that is taken and files that are mapped."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from alexnet.benchmarks.memory import (
    ResidentWatch,
    anonymous_bytes,
    evict,
    resident_share,
)

SIZE = 64 * 2**20
PAGES = 16


def test_memory_counts_when_it_is_seen_and_stays_counted() -> None:
    watch = ResidentWatch()
    assert watch.added_bytes == 0
    taken = np.ones(SIZE, np.uint8)
    assert watch.added_bytes == 0
    watch.look()
    del taken
    watch.look()
    assert 0.9 * SIZE < watch.added_bytes < 1.2 * SIZE


def test_what_was_freed_before_is_counted_again() -> None:
    """Small pieces, which the allocator keeps for later: some around them live."""

    def fill() -> list[bytearray]:
        return [bytearray(4000) for _ in range(SIZE // 4000)]

    kept = fill()[::32]
    watch = ResidentWatch()
    pieces = fill()
    watch.look()
    assert kept
    assert 0.7 * sum(map(len, pieces)) < watch.added_bytes


def test_mapped_files_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.write_bytes(bytes(SIZE))
    before = anonymous_bytes()
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        assert not sum(view[place] for place in range(0, SIZE, mmap.PAGESIZE))
        assert anonymous_bytes() - before < SIZE / 8


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Two files of 16 and 48 pages, the last of them not whole."""
    for name, pages in (("a", PAGES), ("b", 3 * PAGES)):
        (tmp_path / name).write_bytes(b"1" * (pages * mmap.PAGESIZE - 7))
    return [str(tmp_path / name) for name in "ab"]


def dropped(path: str) -> None:
    """What `evict` does, with the system's own call."""
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_the_share_counts_pages(paths: list[str]) -> None:
    assert resident_share(paths) == 1
    dropped(paths[0])
    if resident_share(paths[:1]):
        pytest.skip("this file system keeps its pages")
    assert resident_share(paths) == 0.75


def test_evicted_files_are_gone_from_it(paths: list[str]) -> None:
    dropped(paths[0])
    if resident_share(paths[:1]):
        pytest.skip("this file system keeps its pages")
    assert evict(paths) == 0
    assert Path(paths[1]).read_bytes().strip(b"1") == b""
    assert resident_share(paths[1:]) == 1


def test_what_this_process_maps_is_evicted_too(paths: list[str]) -> None:
    dropped(paths[0])
    if resident_share(paths[:1]):
        pytest.skip("this file system keeps its pages")
    with (
        Path(paths[0]).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        touched = view[:]
        dropped(paths[0])
        assert resident_share(paths[:1]) == 1, "nothing was held by the map"
        assert evict(paths) == 0
        assert view[:] == touched
