"""The machine as Linux describes it: CPUs, limits, a folder's disk.

Facts without judgement, for `alexnet doctor` and the reports of the benches. What a
system does not tell is None, 0 or empty, and never an error.
"""

from __future__ import annotations

import mmap
import os
import platform
import re
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alexnet.pipeline.machine import (
    ROOT,
    allowed_cpus,
    cpu_flags,
    cpu_model,
    cpu_quota,
    file_system,
    read_text,
)

READ_BLOCK_BYTES = 4 * 2**20
# Enough to tell a network from a disk, and either from memory, in a second at most.
SAMPLE_BYTES, SAMPLE_SECONDS = 64 * 2**20, 1.0
# A smaller file tells how long it takes to begin.
LEAST_BYTES = 2**20
# As they are called in the names of their shared libraries.
ALLOCATORS = ("tcmalloc", "jemalloc", "mimalloc")


@dataclass(frozen=True)
class Processor:
    """The CPUs; `quota_cpus` is how much time on them a container is given."""

    model: str
    # Instruction sets by Linux's names; empty where it does not tell.
    flags: frozenset[str]
    present_cpus: int
    usable_cpus: int
    quota_cpus: float | None


@dataclass(frozen=True)
class Host:
    """The machine that was measured; `cpus` are those that this process may use."""

    name: str
    cpu: str
    cpus: int
    gpus: tuple[str, ...]


@dataclass(frozen=True)
class Disk:
    """The disk that a folder lies on; its speed is measured past the page cache."""

    folder: Path
    file_system: str | None
    free_bytes: int
    read_bytes_per_second: float | None


def read_processor(root: Path = ROOT) -> Processor:
    """The CPUs of the machine, and what this process may use of them."""
    return Processor(
        model=cpu_model(root),
        flags=cpu_flags(root),
        present_cpus=os.cpu_count() or 1,
        usable_cpus=allowed_cpus(),
        quota_cpus=cpu_quota(root),
    )


def read_host() -> Host:
    """This machine, and the GPUs that TensorFlow uses on it."""
    processor = read_processor()
    cpu = processor.model or platform.machine()
    return Host(platform.node(), cpu, processor.usable_cpus, gpu_names())


def gpu_names() -> tuple[str, ...]:
    """The names of the GPUs that TensorFlow uses."""
    import tensorflow as tf

    return tuple(
        str(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
        for gpu in tf.config.list_physical_devices("GPU")
    )


def count_cpus(number: float) -> str:
    """A number of CPUs for people."""
    return f"{number:g} CPU{'' if number == 1 else 's'}"


def read_allocator(root: Path = ROOT) -> str:
    """Return whose `malloc` this process uses, or '' where it is not known."""
    maps = read_text(root / "proc/self/maps")
    found = [name for name in ALLOCATORS if f"lib{name}" in maps]
    return found[0] if found else "glibc" if re.search(r"/libc[.-]", maps) else ""


def read_open_files_limit() -> int | None:
    """Files this process may have open at once, or None where there is no limit."""
    try:
        import resource
    except ImportError:  # there is none on Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def read_shared_memory(root: Path = ROOT) -> int | None:
    """Bytes that fit in /dev/shm, or None where there is none."""
    try:
        return shutil.disk_usage(root / "dev/shm").total
    except OSError:
        return None


def read_disk(folder: Path) -> Disk:
    """The disk under an existing folder; 64 MiB are read, and written if need be.

    Raises:
        OSError: the folder cannot be looked at.
    """
    return Disk(
        folder=folder,
        file_system=file_system(folder),
        free_bytes=shutil.disk_usage(folder).free,
        read_bytes_per_second=_read_speed(folder),
    )


def _read_speed(folder: Path) -> float | None:
    """Bytes a second of the largest shard there, or else of a file made for it.

    None where the disk cannot be read past the page cache, or not written.
    """
    if not hasattr(os, "O_DIRECT"):  # Linux's own
        return None
    with suppress(OSError):
        shards = [(path.stat().st_size, path) for path in folder.glob("*.tfrecord")]
        if shards:
            return _timed_read(max(shards)[1])
        with tempfile.TemporaryFile(dir=folder) as file:
            # Random bytes, for a disk may compress others.
            file.write(os.urandom(SAMPLE_BYTES))
            file.flush()
            os.fsync(file.fileno())
            return _timed_read(Path(f"/proc/self/fd/{file.fileno()}"))
    return None


def _timed_read(path: Path) -> float | None:
    """Bytes a second from the start of the file, or None where there are too few.

    Raises:
        OSError: the file system has no reading past the page cache.
    """
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        # Such reading needs memory that begins with a page, as a map does.
        with mmap.mmap(-1, READ_BLOCK_BYTES) as block:
            start, done = time.perf_counter(), 0
            while done < SAMPLE_BYTES and time.perf_counter() < start + SAMPLE_SECONDS:
                count = os.preadv(file, [block], done)
                done += count
                if count < READ_BLOCK_BYTES:
                    break
            seconds = time.perf_counter() - start
            return done / seconds if done >= LEAST_BYTES else None
    finally:
        os.close(file)
