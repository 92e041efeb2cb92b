"""What the doctor makes of made-up machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.benchmarks.doctor.checks import (
    Package,
    judge_cpus,
    judge_disk,
    judge_instructions,
    judge_memory,
    judge_open_files,
    judge_package,
    judge_shared_memory,
)
from alexnet.benchmarks.machine import Disk, Processor
from alexnet.pipeline.machine import Memory

MIB, GIB = 2**20, 2**30


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        ("1.26.4", "ok", ""),
        ("2.1.0", "note", "pip install 'numpy<2,>=1.26'"),
        (None, "problem", "pip install 'numpy<2,>=1.26'"),
    ],
)
def test_packages(found: str | None, state: str, said: str) -> None:
    finding = judge_package(Package("numpy", "<2,>=1.26", found))
    assert finding.state == state
    assert said in finding.advice
    assert finding.value == (found or "not installed")


@pytest.mark.parametrize(
    ("present", "usable", "quota", "state", "said"),
    [
        (8, 8, None, "ok", ""),
        (8, 8, 8.0, "ok", ""),
        (8, 8, 1.5, "note", "quota"),
        (64, 2, None, "note", "taskset"),
    ],
)
def test_cpus(
    present: int, usable: int, quota: float | None, state: str, said: str
) -> None:
    finding = judge_cpus(Processor("EPYC", frozenset(), present, usable, quota))
    assert finding.state == state
    assert said in finding.advice
    assert f"{usable} of {present} usable, EPYC" in finding.value
    assert ("1.5" in finding.value) == (quota == 1.5)


@pytest.mark.parametrize(
    ("flags", "value", "state"),
    [
        ("avx avx2 avx512f avx512_bf16", "AVX2, AVX-512, AVX512-BF16", "ok"),
        ("avx avx2 amx_bf16 amx_tile", "AVX2, AMX", "ok"),
        ("avx avx2 avx512f", "AVX2, AVX-512", "note"),
        ("sse2", "none since AVX2", "problem"),
    ],
)
def test_instructions(flags: str, value: str, state: str) -> None:
    finding = judge_instructions(frozenset(flags.split()))
    assert (finding.value, finding.state) == (value, state)
    assert ("--mixed-precision" in finding.advice) == (state == "note")
    assert ("wheels need AVX" in finding.advice) == (state == "problem")


@pytest.mark.parametrize(
    ("available", "limit", "advised"),
    [
        (20 * GIB, None, None),
        (20 * GIB, 10 * GIB, None),
        (4 * GIB, None, "1024MiB"),
        (20 * GIB, 2 * GIB, "512MiB"),
    ],
)
def test_memory(available: int, limit: int | None, advised: str | None) -> None:
    """A quarter of what there is, where twice the default of 4 GiB does not fit."""
    finding = judge_memory(Memory(24 * GIB, available, limit))
    assert finding.state == ("note" if advised else "ok")
    assert (f"--ram-budget {advised}" in finding.advice) == bool(advised)
    assert "24.0 GiB" in finding.value
    assert ("limit" in finding.value) == (limit is not None)


def found_of(disk: Disk) -> dict[str, tuple[str, str]]:
    return {one.name: (one.value, one.state) for one in judge_disk(disk)}


def test_a_good_disk() -> None:
    """1966.08 MB/s are 10 000 raw images of 196 608 bytes, 109 227 jpegs of 18 kB."""
    assert found_of(Disk(Path("data"), "ext4", 50 * GIB, 1966.08e6)) == {
        "room in data": ("50.0 GiB", "ok"),
        "file system": ("ext4, local", "ok"),
        "disk read": ("1,966 MB/s: 109,227 jpeg or 10,000 raw images/s", "ok"),
    }


def test_a_poor_disk() -> None:
    found = found_of(Disk(Path("data"), "nfs4", 100 * MIB, 20e6))
    assert [state for _, state in found.values()] == ["note"] * 3
    assert found["file system"][0] == "nfs4, not local"


def test_of_an_unknown_disk_the_room_is_told() -> None:
    assert list(found_of(Disk(Path("data"), None, 50 * GIB, None))) == ["room in data"]


@pytest.mark.parametrize(("limit", "state"), [(256, "note"), (1024, "ok")])
def test_open_files(limit: int, state: str) -> None:
    assert judge_open_files(limit).state == state


@pytest.mark.parametrize(
    ("size", "gpus", "state"),
    [(64 * MIB, 1, "ok"), (64 * MIB, 2, "note"), (GIB, 8, "ok")],
)
def test_shared_memory(size: int, gpus: int, state: str) -> None:
    assert judge_shared_memory(size, gpus).state == state
