"""The machine's CPUs and memory, and the kind of file system a folder is on.

Where a system does not say, the answer is None and never an error.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
MOUNTS = Path("/proc/self/mountinfo")
# Linux's names of instruction sets that compute in bfloat16: AVX512-BF16 and AMX.
BFLOAT16_SETS = frozenset(("avx512_bf16", "amx_bf16"))
# File systems that fetch a page over a network when it is first touched.
REMOTE = tuple("nfs cifs smb 9p fuse ceph gluster lustre afs gpfs".split())


def num_cpus(root: Path = ROOT) -> int:
    """Return how many CPUs this process can keep busy, at least 1.

    These are the CPUs that it may run on, or fewer where the quota of a container gives
    it the time of fewer; a part of a CPU counts as one.
    """
    quota = cpu_quota(root)
    cpus = allowed_cpus()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def cpu_model(root: Path = ROOT) -> str:
    """Return the processor's name; '' where the system does not tell."""
    model = re.search(r"^model name\s*: (.*)", read_text(root / "proc/cpuinfo"), re.M)
    return model[1] if model else ""


def cpu_flags(root: Path = ROOT) -> frozenset[str]:
    """Return the instruction sets by Linux's names; none where it does not tell."""
    flags = re.search(r"^flags\s*: (.*)", read_text(root / "proc/cpuinfo"), re.M)
    return frozenset(flags[1].split() if flags else ())


def bfloat16_is_slow(root: Path = ROOT) -> bool:
    """Whether the CPU is known to have no instructions for bfloat16."""
    flags = cpu_flags(root)
    return bool(flags) and not flags & BFLOAT16_SETS


def allowed_cpus() -> int:
    """Return how many CPUs this process may run on, whatever their time."""
    if not hasattr(os, "sched_getaffinity"):  # Linux only
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(0))


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many CPUs' time the control groups allow; None without a limit.

    The tightest group counts. Version 2 writes quota and period into one file, version
    1 into two; without a limit the quota is "max" or -1.
    """
    names = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    quotas = []
    for folder in control_groups("cpu", root):
        numbers = "".join(read_text(folder / name) for name in names).split()
        if len(numbers) == 2 and numbers[0].isdigit():
            quotas.append(int(numbers[0]) / int(numbers[1]))
    return min(quotas, default=None)


def file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of file system of a folder, such as ext4; None if unknown."""
    if not mounts.is_file():
        return None
    kinds: dict[Path, str] = {}
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        # proc(5): ID, parent, device, root, mount point, options ... - kind, source
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        kinds[Path(point)] = after.split()[0]
    place = folder.resolve()
    return next((kinds[p] for p in (place, *place.parents) if p in kinds), None)


@dataclass(frozen=True)
class Memory:
    """The machine's RAM, and how much of it a container may use."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None

    @property
    def usable_bytes(self) -> int:
        """Bytes that the process and the page cache of its files may fill."""
        return self.limit_bytes or self.total_bytes


def read_memory(root: Path = ROOT) -> Memory | None:
    """Return the machine's memory; None where it is not known."""
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
    """Yield the folders of the process's control groups, of versions 2 and 1.

    Each is followed by those above it, up to the top: a container's own folder may be
    the top one, whatever path the process is told. Version 1 mounts controllers that
    belong together in one folder, in this order or another, and links their names.
    """
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for mount in {controllers, controller} if controllers else {""}:
            top = root / "sys/fs/cgroup" / mount
            group = top / path.lstrip("/")
            yield from (f for f in (group, *group.parents) if f.is_relative_to(top))


def read_text(path: Path) -> str:
    """Return the text of one of the kernel's files; '' where it is not there."""
    try:
        return path.read_text()
    except OSError:
        return ""
