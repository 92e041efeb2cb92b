"""The doctor's checks of the machine and the packages: well, costs speed, or broken.

Pure functions of the facts that `machine` and `doctor` read; `gpu_checks` has those of
the GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alexnet.benchmarks.machine import Disk, Processor, count_cpus
from alexnet.pipeline.config import ReadConfig
from alexnet.pipeline.files import format_bytes
from alexnet.pipeline.machine import BFLOAT16_SETS, REMOTE, Memory

# A problem keeps alexnet from working, or a GPU from being used; a note costs speed.
State = Literal["ok", "note", "problem"]

# By Linux's names, the last two for mixed precision on a CPU.
INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX",
}
# A jpeg and a raw record at 256 px.
JPEG_BYTES, RAW_BYTES = 18_000, 256 * 256 * 3
# Two cores decode as much in a second: 5 300 jpeg records.
SLOW_BYTES_PER_SECOND = 96e6
LITTLE_ROOM_BYTES = 2**30
# 16 shards, and what Python, TensorFlow and a pool of workers open; macOS gives 256.
FEW_OPEN_FILES = 1024
# The size that NVIDIA advises for containers; Docker's own is 64 MiB.
LITTLE_SHARED_BYTES = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do where it is not well."""

    name: str
    value: str
    state: State = "ok"
    advice: str = ""


@dataclass(frozen=True)
class Package:
    """A package, the versions that alexnet is made for, and the one that is here."""

    name: str
    needs: str
    found: str | None


def judge_package(package: Package) -> Finding:
    """Check a package: missing is a problem, a version that nobody has tried a note."""
    from packaging.specifiers import SpecifierSet

    name, needs, found = package.name, package.needs, package.found
    install = f"`pip install '{name}{needs}'`"
    if found is None:
        return Finding(name, "not installed", "problem", f"Install it: {install}.")
    if SpecifierSet(needs).contains(found, prereleases=True):
        return Finding(name, found)
    return Finding(name, found, "note", f"alexnet is made for {needs}: {install}.")


def judge_cpus(processor: Processor) -> Finding:
    """Check that all of the machine's CPUs can be used, all of the time."""
    usable, quota = processor.usable_cpus, processor.quota_cpus
    value = f"{usable} of {processor.present_cpus} usable"
    value += f", {processor.model}" if processor.model else ""
    if quota is not None and quota < usable:
        return Finding(
            "CPUs",
            f"{value}, for the time of {count_cpus(quota)}",
            "note",
            "A container's quota stops TensorFlow's threads in mid-work, and there are"
            " as many of them as CPUs: give it whole CPUs (docker run --cpuset-cpus).",
        )
    if usable < processor.present_cpus:
        return Finding(
            "CPUs",
            value,
            "note",
            "The others are kept from this process (taskset, docker run --cpuset-cpus,"
            " srun --cpus-per-task); with more of them, more images are decoded.",
        )
    return Finding("CPUs", value)


def judge_instructions(flags: frozenset[str]) -> Finding:
    """Check that the CPU has the instructions of TensorFlow and mixed precision."""
    has = [name for flag, name in INSTRUCTION_SETS.items() if flag in flags]
    value = ", ".join(has) or "none since AVX2"
    if "avx" not in flags:
        advice = "TensorFlow's wheels need AVX: use another machine."
        return Finding("instructions", value, "problem", advice)
    if not flags & BFLOAT16_SETS:
        # Measured with ONEDNN_MAX_CPU_ISA=AVX512_CORE (3.0 s of CPU time against 1.3),
        # and on an AMD EPYC with AVX2 (12 images/s against 184 and 214).
        advice = (
            "Leave `fit --mixed-precision` out on this CPU: where bfloat16 is not in"
            " hardware, a step took 2.3 times as long with it; with AVX2 alone, 15."
        )
        return Finding("instructions", value, "note", advice)
    return Finding("instructions", value)


def judge_memory(memory: Memory) -> Finding:
    """Check that there is room for what the input pipeline may hold by default."""
    available, limit = memory.available_bytes, memory.limit_bytes
    total = format_bytes(memory.total_bytes)
    value = f"{format_bytes(available)} of {total} available"
    value += f", the container's limit {format_bytes(limit)}" if limit else ""
    room, budget = min(available, limit or available), ReadConfig().ram_budget_bytes
    if room >= 2 * budget:
        return Finding("memory", value)
    advice = (
        f"The input pipeline may take {format_bytes(budget)} of it, and the network"
        f" needs its own: train with"
        f" `alexnet fit --ram-budget {room // 4 // 2**20}MiB`."
    )
    return Finding("memory", value, "note", advice)


def judge_disk(disk: Disk) -> Iterator[Finding]:
    """Check the room, file system and speed of the folder, as far as they are known."""
    room = Finding(f"room in {disk.folder}", format_bytes(disk.free_bytes))
    if disk.free_bytes < LITTLE_ROOM_BYTES:
        advice = "25,000 photos are 450 MB as jpeg records and 4.9 GB as raw ones."
        room = Finding(room.name, room.value, "note", advice)
    yield room
    if disk.file_system:
        yield _judge_file_system(disk.file_system)
    if disk.read_bytes_per_second:
        yield _judge_reading(disk.read_bytes_per_second)


def _judge_file_system(kind: str) -> Finding:
    if not kind.startswith(REMOTE):
        return Finding("file system", f"{kind}, local")
    advice = (
        "Records there are streamed and not mapped, since every page comes over a"
        " network: a local disk is faster."
    )
    return Finding("file system", f"{kind}, not local", "note", advice)


def _judge_reading(bytes_per_second: float) -> Finding:
    value = (
        f"{bytes_per_second / 1e6:,.0f} MB/s:"
        f" {bytes_per_second / JPEG_BYTES:,.0f} jpeg or"
        f" {bytes_per_second / RAW_BYTES:,.0f} raw images/s"
    )
    if bytes_per_second >= SLOW_BYTES_PER_SECOND:
        return Finding("disk read", value)
    advice = (
        "Two cores decode more than that: use a faster disk, or records that fit in"
        " the free memory, which keeps what was read once."
    )
    return Finding("disk read", value, "note", advice)


def judge_open_files(limit: int) -> Finding:
    """Check that shards, libraries and workers can all be open at once."""
    if limit >= FEW_OPEN_FILES:
        return Finding("open files", f"{limit:,}")
    advice = f"`ulimit -n {FEW_OPEN_FILES}` before a build or a training."
    return Finding("open files", f"{limit:,}", "note", advice)


def judge_shared_memory(num_bytes: int, num_gpus: int) -> Finding:
    """Check that several GPUs can exchange gradients through /dev/shm."""
    value = format_bytes(num_bytes)
    if num_gpus < 2 or num_bytes >= LITTLE_SHARED_BYTES:
        return Finding("/dev/shm", value)
    advice = "Several GPUs exchange gradients through it: `docker run --shm-size 1g`."
    return Finding("/dev/shm", value, "note", advice)
