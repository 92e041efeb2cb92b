"""The machine's facts, read from made-up files and held against the system's own."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from alexnet.benchmarks import machine
from alexnet.benchmarks.machine import (
    read_allocator,
    read_disk,
    read_open_files_limit,
    read_processor,
    read_shared_memory,
)

MIB, GIB = 2**20, 2**30

CPUINFO = """\
processor\t: 0
model name\t: AMD EPYC 9654
flags\t\t: fpu sse2 avx2 avx512_bf16

processor\t: 1
model name\t: AMD EPYC 9654
flags\t\t: fpu sse2 avx2 avx512_bf16
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_processor(tmp_path: Path) -> None:
    quota = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}
    found = read_processor(write(tmp_path, {"proc/cpuinfo": CPUINFO, **quota}))
    assert found.model == "AMD EPYC 9654"
    assert found.flags == {"fpu", "sse2", "avx2", "avx512_bf16"}
    assert found.usable_cpus == len(os.sched_getaffinity(0))
    assert found.present_cpus == os.cpu_count()
    assert found.quota_cpus == 1.5


@pytest.mark.parametrize(
    ("maps", "name"),
    [
        ("7f00-7f01 r-xp 0 fd:00 1 /usr/lib/x86_64-linux-gnu/libc.so.6\n", "glibc"),
        ("7f00-7f01 r-xp 0 fd:00 1 /usr/lib64/libc-2.31.so\n", "glibc"),
        ("/usr/lib/libc.so.6\n/usr/lib/libtcmalloc_minimal.so.4\n", "tcmalloc"),
        ("/usr/lib/libjemalloc.so.2\n/usr/lib/libc.so.6\n", "jemalloc"),
        ("/lib/ld-musl-x86_64.so.1\n", ""),
    ],
)
def test_allocator(tmp_path: Path, maps: str, name: str) -> None:
    assert read_allocator(write(tmp_path, {"proc/self/maps": maps})) == name


def test_what_a_system_does_not_tell_is_left_open(tmp_path: Path) -> None:
    found = read_processor(tmp_path)
    assert (found.model, found.flags, found.quota_cpus) == ("", frozenset(), None)
    assert read_allocator(tmp_path) == ""
    assert read_shared_memory(tmp_path) is None


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_open_files_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    assert read_open_files_limit() is None


def test_a_disk_is_read_and_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "SAMPLE_BYTES", 2 * machine.READ_BLOCK_BYTES)
    found = read_disk(tmp_path)
    assert found.folder == tmp_path
    assert found.free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    # Some file systems, a RAM disk's among them, are not read past the page cache.
    assert found.read_bytes_per_second is None or found.read_bytes_per_second > MIB
    assert not list(tmp_path.iterdir())


def test_a_shard_is_read_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest, for the sake of a longer look; nothing is written for it."""
    read = []

    def timed(path: Path) -> float:
        read.append(path)
        return 5.0

    for name, size in (("a.tfrecord", 10), ("b.tfrecord", 30), ("c.tfrecord", 20)):
        (tmp_path / name).write_bytes(bytes(size))
    monkeypatch.setattr(machine, "_timed_read", timed)
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    assert read_disk(tmp_path).read_bytes_per_second == 5.0
    assert read == [tmp_path / "b.tfrecord"]


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(machine.READ_BLOCK_BYTES + 100))
    try:
        rate = machine._timed_read(path)
    except OSError:
        pytest.skip("this file system has no reading past the page cache")
    assert rate is not None
    path.write_bytes(bytes(100))
    assert machine._timed_read(path) is None


def test_a_folder_that_cannot_be_written_has_no_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert read_disk(tmp_path).read_bytes_per_second is None
