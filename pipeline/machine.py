"""What the machine offers: CPUs, and the kind of file system a folder is on."""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
# File systems that fetch a page over a network when it is first touched.
REMOTE = tuple("nfs cifs smb 9p fuse ceph gluster lustre afs gpfs".split())


def num_cpus() -> int:
    """CPUs this process may use, which a container can make fewer than there are."""
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
