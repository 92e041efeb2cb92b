"""Mapped files against the same bytes read; how long the memory lives."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import alexnet.pipeline.read.mmap
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.mmap import Mapping
from tests.conftest import await_garbage

PAGE = 4096
SIZES = (2 * PAGE, PAGE, 5 * PAGE)


def written(folder: Path, sizes: tuple[int, ...] = SIZES) -> list[Path]:
    random, paths = np.random.default_rng(0), []
    for number, size in enumerate(sizes):
        paths.append(folder / f"{number}.bin")
        paths[-1].write_bytes(random.bytes(size))
    return paths


def mapped(paths: list[Path]) -> Mapping:
    mapping = Mapping(paths, [path.stat().st_size for path in paths])
    mapping.fill()
    return mapping


def content(paths: list[Path]) -> np.ndarray:
    data = b"".join(path.read_bytes() for path in paths)
    return np.frombuffer(data, np.uint8)


@pytest.fixture
def unmapped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes that were given back, as it happens."""
    sizes: list[int] = []
    munmap: Callable[[int, int], None] = alexnet.pipeline.read.mmap._munmap

    def counting(address: int, size: int) -> None:
        sizes.append(size)
        munmap(address, size)

    monkeypatch.setattr(alexnet.pipeline.read.mmap, "_munmap", counting)
    return sizes


@pytest.mark.parametrize(
    ("offset", "width"), [(0, PAGE), (0, 64), (128, PAGE), (192, 1024), (0, 8 * PAGE)]
)
def test_several_files_are_one_matrix(tmp_path: Path, offset: int, width: int) -> None:
    paths = written(tmp_path)
    rows = (sum(SIZES) - offset) // width
    expected = content(paths)[offset : offset + rows * width].reshape(rows, width)
    view = mapped(paths).view(offset, width)
    assert view.dtype == tf.uint8
    np.testing.assert_array_equal(view, expected)
    order = np.random.default_rng(1).permutation(rows)
    np.testing.assert_array_equal(tf.gather(view, order), expected[order])


def test_the_order_is_that_of_the_paths(tmp_path: Path) -> None:
    paths = written(tmp_path)[::-1]
    view = mapped(paths).view(0, PAGE)
    np.testing.assert_array_equal(tf.reshape(view, [-1]), content(paths))


def test_what_is_shown_is_the_files_memory_and_no_copy(tmp_path: Path) -> None:
    (path,) = written(tmp_path, (PAGE,))
    view = mapped([path]).view(0, 64)
    before = int(view[1, 0])
    with path.open("r+b") as file:
        file.seek(64)
        file.write(bytes([before ^ 0xFF]))
    assert int(view[1, 0]) == before ^ 0xFF


def test_files_larger_than_the_memory_are_mapped(tmp_path: Path) -> None:
    """Two files of 3 GiB, holes but for their last bytes."""
    size, paths = 3 * 2**30, [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        with path.open("wb") as file:
            file.seek(size - 1)
            file.write(path.name.encode())
    view = mapped(paths).view(0, PAGE)
    assert view.shape == (2 * size // PAGE, PAGE)
    last = tf.constant([size // PAGE - 1, 2 * size // PAGE - 1, 0], tf.int64)
    assert tf.gather(view, last)[:, -1].numpy().tobytes() == b"ab\0"


@pytest.mark.slow
def test_views_keep_the_memory_and_the_last_one_gives_it_back(
    tmp_path: Path, unmapped: list[int]
) -> None:
    paths = written(tmp_path)
    mapping = mapped(paths)
    whole, heads = mapping.view(0, PAGE), mapping.view(0, 64)
    del mapping
    gc.collect()
    np.testing.assert_array_equal(tf.reshape(whole, [-1]), content(paths))
    del whole
    gc.collect()
    assert unmapped == []
    np.testing.assert_array_equal(tf.reshape(heads, [-1]), content(paths))
    del heads
    assert await_garbage(lambda: unmapped == [sum(SIZES)])


@pytest.mark.slow
def test_a_dataset_keeps_what_it_gathers_from(
    tmp_path: Path, unmapped: list[int]
) -> None:
    paths = written(tmp_path)

    def rows() -> tf.data.Dataset:
        view = mapped(paths).view(0, PAGE)
        return tf.data.Dataset.range(8).map(lambda row: tf.gather(view, row))

    dataset = rows()
    gc.collect()
    found = np.stack(list(dataset.as_numpy_iterator()))
    np.testing.assert_array_equal(found.ravel(), content(paths))
    assert unmapped == []
    del dataset
    assert await_garbage(lambda: unmapped == [sum(SIZES)])


def test_a_mapping_that_nobody_views_is_given_back(
    tmp_path: Path, unmapped: list[int]
) -> None:
    mapping = mapped(written(tmp_path))
    del mapping
    assert await_garbage(lambda: unmapped == [sum(SIZES)])


class RefusingLibc:
    """A C library on whose file systems files cannot be mapped from a number on."""

    def __init__(self, libc: Any, files: int) -> None:
        self.libc, self.files = libc, files
        self.munmap = libc.munmap

    def mmap(self, *arguments: Any) -> int:
        is_file = arguments[4] >= 0
        if is_file and not self.files:
            ctypes.set_errno(errno.ENODEV)
            refused = ctypes.c_void_p(-1).value
            assert refused is not None
            return refused
        self.files -= is_file
        return int(self.libc.mmap(*arguments))


@pytest.mark.parametrize("files", [0, 2])
def test_a_file_system_that_cannot_map_is_told_with_the_way_out(
    tmp_path: Path, unmapped: list[int], monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    libc = RefusingLibc(alexnet.pipeline.read.mmap._libc(), files)
    monkeypatch.setattr(alexnet.pipeline.read.mmap, "_libc", lambda: libc)
    paths = written(tmp_path)
    with pytest.raises(DataError) as error:
        mapped(paths)
    reason = os.strerror(errno.ENODEV)
    assert str(error.value) == (
        f"{paths[files]} cannot be mapped ({reason}). Read the records with"
        " `reader='stream'`."
    )
    del error
    assert await_garbage(lambda: unmapped == [sum(SIZES)])


def test_files_of_any_length_are_mapped_one_by_one(tmp_path: Path) -> None:
    paths = written(tmp_path, (PAGE, 100, PAGE + 1, 1))
    files = mapped(paths).files()
    assert [file.tobytes() for file in files] == [path.read_bytes() for path in paths]
    assert not files[1].flags.writeable


def test_files_keep_the_memory_and_the_last_part_gives_it_back(
    tmp_path: Path, unmapped: list[int]
) -> None:
    paths = written(tmp_path, (PAGE, 100))
    part = mapped(paths).files()[1][10:20]
    gc.collect()
    assert unmapped == []
    assert part.tobytes() == paths[1].read_bytes()[10:20]
    del part
    assert await_garbage(lambda: unmapped == [2 * PAGE])


def test_more_files_are_mapped_than_may_be_open(tmp_path: Path) -> None:
    def num_open() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    paths, before = written(tmp_path, (64,) * 200), num_open()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 10, hard))
    try:
        files = mapped(paths).files()
        assert num_open() == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert np.concatenate(files).tobytes() == content(paths).tobytes()


def test_a_file_that_ends_within_a_page_is_told(tmp_path: Path) -> None:
    """The rows of the one after it would have to start there."""
    mapping = mapped(written(tmp_path, (PAGE, PAGE + 100, PAGE)))
    with pytest.raises(DataError, match=r"1\.bin cannot be mapped .*`reader='stream'`"):
        mapping.view(0, PAGE)


def test_the_last_file_may_end_within_a_page(tmp_path: Path) -> None:
    paths = written(tmp_path, (PAGE, 100))
    view = mapped(paths).view(0, 64)
    expected = content(paths)[: 65 * 64].reshape(65, 64)
    np.testing.assert_array_equal(view, expected)
