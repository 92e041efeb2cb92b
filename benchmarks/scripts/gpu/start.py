"""What a start costs: import, first operation, first and second training step.

The driver compiles what TensorFlow's wheel has no machine code for, and keeps it in a
cache; the first start fills that and the next ones find it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.benchmarks.doctor.gpus import ask_tensorflow
from alexnet.benchmarks.scripts.gpu.attempt import attempt
from alexnet.benchmarks.scripts.gpu.report import (
    Report,
    add_settings,
    make_parser,
    read_settings,
    run,
)

MEASURE = "alexnet.benchmarks.scripts.gpu.start:measure_start"
# Of a TrainStepConfig, which this process does not import: the first start is to find
# TensorFlow as it lies on the disk.
SETTINGS = ("variant", "batch_size", "image_size", "width", "mixed_precision", "xla")
CACHE_VARIABLES = ("CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE", "CUDA_CACHE_DISABLE")
# Where the driver keeps it unless told otherwise (CUDA programming guide).
USUAL_CACHE = Path("~/.nv/ComputeCache")


def measure_start(**settings: Any) -> dict[str, Any]:
    """Seconds of the parts of a start in this process, which has imported nothing."""
    marks = [time.perf_counter()]
    import tensorflow as tf

    from alexnet.benchmarks.measure import wait_for_devices
    from alexnet.benchmarks.train_step import TrainStepConfig, plan_train_step
    from alexnet.model.training.hardware import set_up_hardware

    config = TrainStepConfig.from_json(settings)
    marks.append(time.perf_counter())
    hardware = set_up_hardware(config.train())
    tf.add(tf.ones([8]), 1.0).numpy()
    marks.append(time.perf_counter())
    steps = plan_train_step(config).step.start()
    wait_for_devices()
    marks.append(time.perf_counter())
    for _ in range(2):
        next(steps)
        wait_for_devices()
        marks.append(time.perf_counter())
    parts = ("import", "first_operation", "weights", "first_step", "second_step")
    pairs = zip(parts, marks, marks[1:], strict=False)
    seconds = {f"{part}_seconds": end - begin for part, begin, end in pairs}
    build = dict(tf.sysconfig.get_build_info())
    return {"hardware": hardware.describe(), **seconds, "build": _plain(build)}


def _plain(build: Mapping[str, Any]) -> dict[str, Any]:
    """TensorFlow's build info, of which some values are no JSON."""
    names = ("cuda_version", "cudnn_version", "cuda_compute_capabilities")
    return {name: build[name] for name in names if name in build}


def describe_cache(environment: Mapping[str, str]) -> dict[str, Any]:
    """The driver's cache of compiled kernels: its settings and its size."""
    path = Path(environment.get(CACHE_VARIABLES[0]) or USUAL_CACHE).expanduser()
    files = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    settings = {name: environment.get(name) for name in CACHE_VARIABLES}
    return {**settings, "path": str(path), "num_bytes": sum(files)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Start several times; returns the exit code."""
    parser = make_parser("start", __doc__)
    parser.add_argument("--starts", type=int, default=2, help="one after the other")
    add_settings(parser, SETTINGS)
    options = parser.parse_args(arguments)
    settings = {"mixed_precision": True, **read_settings(options.set, options.known)}
    report = Report(options)
    for number in range(1, options.starts + 1):
        before = describe_cache(os.environ)
        found = attempt(MEASURE, settings)
        after = describe_cache(os.environ)["num_bytes"]
        report.add({"start": number, **found, "cache": before, "cache_after": after})
    # Last: it imports TensorFlow as well, and the first start should be the first.
    told = ask_tensorflow()
    report.add({"tensorflow": told if isinstance(told, str) else asdict(told)})
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(main))
