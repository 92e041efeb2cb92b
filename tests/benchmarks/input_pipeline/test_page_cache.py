"""The page cache: what was written is in it, what was dropped is not."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from alexnet.benchmarks.input_pipeline.page_cache import evict, resident_share

PAGES = 16


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
