"""`alexnet doctor`: looks at packages, machine, GPUs and a folder, and reports.

It gathers the facts; `checks` and `gpu_checks` judge them.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

from alexnet.benchmarks.doctor.checks import (
    Finding,
    Package,
    judge_cpus,
    judge_disk,
    judge_instructions,
    judge_memory,
    judge_open_files,
    judge_package,
    judge_shared_memory,
)
from alexnet.benchmarks.doctor.gpu_checks import judge_gpus, judge_tensorflow
from alexnet.benchmarks.doctor.gpus import (
    ask_driver,
    ask_tensorflow,
    count_nvidia_devices,
)
from alexnet.benchmarks.machine import (
    read_allocator,
    read_disk,
    read_open_files_limit,
    read_processor,
    read_shared_memory,
)
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.machine import read_memory
from alexnet.pipeline.versions import FLOOR, installed


@dataclass(frozen=True)
class DoctorReport:
    """Everything that was found."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is broken; a note is no harm."""
        return all(finding.state != "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {"ok": self.ok, "findings": [asdict(one) for one in self.findings]}


def examine(folder: Path) -> DoctorReport:
    """Examine this machine, and the disk under `folder`.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(
            f"no such folder: {folder}. Expected one on the disk to look at, such as"
            " that of the records."
        )
    floor = Finding("floor", f"{FLOOR.name}, by Python {FLOOR.pythons}")
    packages = map(judge_package, read_packages())
    return DoctorReport((floor, *packages, *_machine(), *judge_disk(read_disk(folder))))


def read_packages() -> Iterator[Package]:
    """Yield Python, alexnet, all that it requires, and TensorFlow's Keras."""
    needed = metadata("alexnet")["Requires-Python"]
    yield Package("Python", needed, platform.python_version())
    yield Package("alexnet", "", version("alexnet"))
    keras = [one for one in _required_by("tensorflow") if one.name == "keras"]
    required = {one.name: one for one in (*keras, *_required_by("alexnet"))}
    yield from required.values()


def _required_by(name: str) -> Iterator[Package]:
    """Yield what a distribution requires without extras; nothing if not installed."""
    from packaging.requirements import Requirement

    with suppress(PackageNotFoundError):
        for line in requires(name) or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                found = installed(wanted.name)
                yield Package(wanted.name, str(wanted.specifier), found)


def _machine() -> Iterator[Finding]:
    """Yield findings on processor, TensorFlow, GPUs, memory and limits."""
    processor, memory = read_processor(), read_memory()
    tensorflow, driver = ask_tensorflow(), ask_driver()
    yield judge_cpus(processor)
    if processor.flags:
        yield judge_instructions(processor.flags)
    yield from judge_tensorflow(tensorflow, processor.flags)
    yield from judge_gpus(count_nvidia_devices(), driver, tensorflow, os.environ)
    if memory:
        yield judge_memory(memory)
    yield from _limits(0 if isinstance(driver, str) else len(driver.gpus))


def _limits(num_gpus: int) -> Iterator[Finding]:
    allocator, open_files = read_allocator(), read_open_files_limit()
    shared_bytes = read_shared_memory()
    if allocator:
        yield Finding("malloc", allocator)
    if open_files is not None:
        yield judge_open_files(open_files)
    if shared_bytes is not None:
        yield judge_shared_memory(shared_bytes, num_gpus)
