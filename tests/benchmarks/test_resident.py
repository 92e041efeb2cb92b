"""Resident memory, against memory that is taken and files that are mapped."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from alexnet.benchmarks.resident import ResidentWatch, anonymous_bytes

SIZE = 64 * 2**20


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
