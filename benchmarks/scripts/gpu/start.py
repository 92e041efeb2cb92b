"""The cost of a start: import, first operation, first and second training step.

The driver compiles what TensorFlow's wheel has no machine code for, and keeps it in a
cache: run this twice, `python -m alexnet.benchmarks.scripts.gpu.start`, and the second
start finds what the first one filled.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

PARTS = ("import", "first_operation", "weights", "first_step", "second_step")


def measure_start(batch_size: int, **settings: Any) -> dict[str, Any]:
    """Seconds of the parts of a start in this process, which has imported nothing."""
    marks = [time.perf_counter()]
    import tensorflow as tf

    from alexnet.benchmarks.measure import wait_for_devices
    from alexnet.benchmarks.train_step import TrainStepConfig, plan_train_step
    from alexnet.model.training.hardware import set_up_hardware

    config = TrainStepConfig(batch_size=batch_size, **settings)
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
    pairs = zip(PARTS, marks, marks[1:], strict=False)
    seconds = {f"{part}_seconds": end - begin for part, begin, end in pairs}
    return {"hardware": hardware.describe(), **seconds}


def main(arguments: Sequence[str] | None = None) -> None:
    """Start once and print the seconds as JSON."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.gpu.start", description=__doc__
    )
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--float32", action="store_true", help="not half precision")
    options = parser.parse_args(arguments)
    mixed = not options.float32
    print(json.dumps(measure_start(options.batch_size, mixed_precision=mixed)))


if __name__ == "__main__":
    main()
