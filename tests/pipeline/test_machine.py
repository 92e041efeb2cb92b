"""What the machine is, from made-up files of the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alexnet.pipeline import machine
from alexnet.pipeline.machine import (
    Memory,
    allowed_cpus,
    bfloat16_is_slow,
    cpu_quota,
    file_system,
    num_cpus,
    read_memory,
)

GIB = 2**30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\n"

# As Linux writes it (proc(5)); a later mount covers an earlier one of the same place.
MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
24 22 0:30 / /home rw,relatime shared:5 master:1 - nfs4 server:/home rw,vers=4.2
25 24 0:31 / /home/me/data rw - fuse.sshfs me@host: rw
26 22 0:32 / /mnt/my\040photos rw - cifs //nas/photos rw
27 22 254:1 /sub /mnt/twice rw - xfs /dev/vdb rw
28 27 0:33 / /mnt/twice rw - tmpfs tmpfs rw
"""


def write_files(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("line", "is_slow"),
    [
        ("flags\t\t: sse2 avx2 avx512f", True),
        ("flags\t\t: avx2 avx512_bf16", False),
        ("flags\t\t: avx2 amx_bf16 amx_tile", False),
        ("Features\t: fp asimd bf16", False),  # ARM's, of which nothing is known here
    ],
)
def test_a_cpu_that_computes_bfloat16_in_software(
    tmp_path: Path, line: str, is_slow: bool
) -> None:
    write_files(tmp_path, {"proc/cpuinfo": f"processor\t: 0\n{line}\n"})
    assert bfloat16_is_slow(tmp_path) == is_slow


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/data/records", "ext4"),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/home/me/data/deep/records", "fuse.sshfs"),
        ("/homes", "ext4"),
        ("/mnt/my photos/records", "cifs"),
        ("/mnt/twice", "tmpfs"),
    ],
)
def test_a_folder_is_on_the_mount_nearest_above(
    folder: str, kind: str, mounts: Path
) -> None:
    assert file_system(Path(folder), mounts) == kind


def test_a_link_is_followed(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home/me")
    assert file_system(tmp_path / "link", mounts) == "nfs4"


def test_a_relative_folder_is_in_the_current_one(
    mounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts.write_text(f"{MOUNTS}29 22 0:34 / {tmp_path} rw - btrfs /dev/vdc rw\n")
    monkeypatch.chdir(tmp_path)
    assert file_system(Path("records"), mounts) == "btrfs"


def test_without_a_table_it_is_not_known(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "gone") is None


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux alone")
def test_this_machines_own_proc_is_found() -> None:
    assert file_system(Path("/proc/self")) == "proc"


def test_cpus_are_those_this_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, [min(before)])
        assert num_cpus() == allowed_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert allowed_cpus() == len(before)


@pytest.mark.parametrize(("present", "used"), [(3, 3), (None, 1)])
def test_where_no_cpus_can_be_kept_from_a_process_all_are_used(
    present: int | None, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: present)
    assert allowed_cpus() == used


CGROUP, ONE, TWO = "proc/self/cgroup", "sys/fs/cgroup/cpu,cpuacct/", "sys/fs/cgroup/"


@pytest.mark.parametrize(
    ("files", "quota", "cpus"),
    [
        # Version 2: the tightest of the group and those above it counts.
        (
            {
                CGROUP: "0::/a/b\n",
                f"{TWO}a/b/cpu.max": "max 100000\n",
                f"{TWO}a/cpu.max": "150000 100000\n",
                f"{TWO}cpu.max": "400000 100000\n",
            },
            1.5,
            2,
        ),
        # Version 1: a container is told the host's path, and sees its own at the top.
        (
            {
                CGROUP: "3:cpu,cpuacct:/docker/12ab\n2:memory:/docker/12\n",
                f"{ONE}cpu.cfs_quota_us": "50000\n",
                f"{ONE}cpu.cfs_period_us": "100000\n",
            },
            0.5,
            1,
        ),
        # The folder's name has another order of its controllers, and links lead to it.
        (
            {
                CGROUP: "3:cpuacct,cpu:/\n",
                f"{TWO}cpu/cpu.cfs_quota_us": "300000\n",
                f"{TWO}cpu/cpu.cfs_period_us": "100000\n",
            },
            3.0,
            3,
        ),
        (
            {
                CGROUP: "1:cpu:/\n",
                f"{TWO}cpu/cpu.cfs_quota_us": "-1\n",
                f"{TWO}cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            8,
        ),
        ({CGROUP: "0::/\n", f"{TWO}cpu.max": "6400000 100000\n"}, 64.0, 8),
        ({}, None, 8),
    ],
)
def test_cpus_are_no_more_than_a_container_has_time_on(
    files: dict[str, str],
    quota: float | None,
    cpus: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_files(tmp_path, files)
    monkeypatch.setattr(machine, "allowed_cpus", lambda: 8)
    assert cpu_quota(tmp_path) == quota
    assert num_cpus(tmp_path) == cpus


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        (
            {
                "proc/self/cgroup": "0::/app\n",
                "sys/fs/cgroup/app/memory.max": "max\n",
                "sys/fs/cgroup/memory.max": f"{3 * GIB}\n",
            },
            3 * GIB,
        ),
        # Version 1 has a number that means none.
        (
            {
                "proc/self/cgroup": "4:memory:/app\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
        ),
    ],
)
def test_memory(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    write_files(tmp_path, {"proc/meminfo": MEMINFO, **files})
    found = read_memory(tmp_path)
    assert found == Memory(16 * GIB, 8 * GIB, limit)
    assert found.usable_bytes == (limit or 16 * GIB)


def test_memory_that_is_not_told(tmp_path: Path) -> None:
    assert read_memory(tmp_path) is None
