"""The training step alone, on made-up images that the device holds already.

A grid of network, precision, XLA and batch size, each in a process of its own; what
does not fit into memory is written down as that.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, get_args

from alexnet.benchmarks.measure import wait_for_devices
from alexnet.benchmarks.scripts.gpu.attempt import attempt
from alexnet.benchmarks.scripts.gpu.report import (
    Report,
    add_settings,
    make_parser,
    names_of,
    read_settings,
    run,
)
from alexnet.benchmarks.train_step import TrainStepConfig, execute, plan_train_step
from alexnet.model.config import Variant

BATCH_SIZES = (128, 256, 512, 1024, 2048, 4096)
PRECISIONS = {"float32": False, "mixed": True}
XLA = {"off": False, "on": True}
MEASURE = "alexnet.benchmarks.scripts.gpu.step:measure_step"


def grid(
    variants: Sequence[str],
    precisions: Sequence[str],
    xla: Sequence[str],
    batch_sizes: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """Every combination, as settings of a TrainStepConfig."""
    for variant, precision, compiled, size in product(
        variants, precisions, xla, batch_sizes
    ):
        yield {
            "variant": variant,
            "mixed_precision": PRECISIONS[precision],
            "xla": XLA[compiled],
            "batch_size": size,
        }


def measure_step(**settings: Any) -> dict[str, Any]:
    """The report of `bench train-step`, and how long the first two steps took."""
    config = TrainStepConfig.from_json(settings)
    plan = plan_train_step(config)
    steps = plan.step.start()
    first, second = (_seconds(steps) for _ in range(2))
    steps.close()
    report = execute(plan, config, lambda name, done, total: None)
    return {
        **report.to_json(),
        "first_step_seconds": first,
        "second_step_seconds": second,
        "peak_bytes": peak_bytes(),
    }


def _seconds(steps: Iterator[float]) -> float:
    start = time.perf_counter()
    next(steps)
    wait_for_devices()
    return time.perf_counter() - start


def peak_bytes() -> int | None:
    """The most that tensors took of the first GPU's memory; None without one."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the grid; returns the exit code."""
    parser = make_parser("step", __doc__)
    variants = get_args(Variant)
    parser.add_argument("--variants", nargs="+", choices=variants, default=variants)
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS)
    )
    parser.add_argument("--xla", nargs="+", choices=XLA, default=list(XLA))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=BATCH_SIZES)
    add_settings(parser, names_of(TrainStepConfig))
    options = parser.parse_args(arguments)
    others = read_settings(options.set, options.known)
    report = Report(options)
    for cell in grid(
        options.variants, options.precisions, options.xla, options.batch_sizes
    ):
        settings = {"seconds": 2.0, **others, **cell}
        report.add(settings | attempt(MEASURE, settings))
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(main))
