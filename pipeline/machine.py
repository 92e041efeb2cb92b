"""What the machine offers: CPUs, memory, and the kind of file system a folder is on.

What a system does not tell is None, and never an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
MOUNTS = Path("/proc/self/mountinfo")
# File systems that fetch a page over a network when it is first touched.
REMOTE = tuple("nfs cifs smb 9p fuse ceph gluster lustre afs gpfs".split())


def num_cpus() -> int:
    """CPUs this process may use, which a container can make fewer than there are."""
    if not hasattr(os, "sched_getaffinity"):  # Linux's own
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(0))


def file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of file system `folder` is on, such as ext4 or nfs4; None if unknown."""
    if not mounts.is_file():
        return None
    found: dict[Path, str] = {}
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        # proc(5): ID, parent, device, root, mount point, options ... - kind, source
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        found[Path(point)] = after.split()[0]
    place = folder.resolve()
    return next((found[p] for p in (place, *place.parents) if p in found), None)


@dataclass(frozen=True)
class Memory:
    """RAM; `limit_bytes` is what a container is given of it."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None

    @property
    def usable_bytes(self) -> int:
        """What the process and the page cache of its files may fill."""
        return self.limit_bytes or self.total_bytes


def read_memory(root: Path = ROOT) -> Memory | None:
    """The machine's RAM, or None where it is not known."""
    text = read_text(root / "proc/meminfo")
    lines = re.findall(r"(\w+):\s+(\d+) kB", text)
    sizes = {name: int(kib) * 2**10 for name, kib in lines}
    if not {"MemTotal", "MemAvailable"} <= set(sizes):
        return None
    # Without a limit it is "max", or more than any machine has.
    limits = [
        int(limit)
        for folder in control_groups("memory", root)
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := read_text(folder / name).strip()).isdigit()
        and int(limit) < sizes["MemTotal"]
    ]
    return Memory(sizes["MemTotal"], sizes["MemAvailable"], min(limits, default=None))


def control_groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of the process's control groups, versions 2 and 1, up to the top.

    A container's own folder may be the top one, whatever the process is told.
    """
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / controllers
            group = top / path.lstrip("/")
            yield from (f for f in (group, *group.parents) if f.is_relative_to(top))


def read_text(path: Path) -> str:
    """The text of one of the kernel's files; '' where it is not there."""
    try:
        return path.read_text()
    except OSError:
        return ""
