"""What the machine is, from made-up tables of mounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.machine import file_system, num_cpus

# As Linux writes it (proc(5)); a later mount covers an earlier one of the same place.
MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
24 22 0:30 / /home rw,relatime shared:5 master:1 - nfs4 server:/home rw,vers=4.2
25 24 0:31 / /home/me/data rw - fuse.sshfs me@host: rw
26 22 0:32 / /mnt/my\040photos rw - cifs //nas/photos rw
27 22 254:1 /sub /mnt/twice rw - xfs /dev/vdb rw
28 27 0:33 / /mnt/twice rw - tmpfs tmpfs rw
"""


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
        assert num_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert num_cpus() == len(before)
