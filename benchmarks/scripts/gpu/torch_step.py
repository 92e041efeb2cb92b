"""The peer: torchvision's AlexNet in PyTorch, trained the way that is usually fastest.

It imports nothing of alexnet and is run by whichever Python has PyTorch. The step alone
takes uint8 images that the device holds; with --photos a DataLoader feeds it as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

try:
    import torch

    from alexnet.benchmarks.scripts.gpu.torch_network import SIDE, Step, training_flops
    from alexnet.benchmarks.scripts.gpu.torch_photos import batches
except ImportError as missing:
    sys.exit(f"torch_step is run by a Python that has PyTorch 2.4 or newer: {missing}")

BATCH_SIZES = (128, 256, 512, 1024, 2048, 4096)
# As benchmarks/measure.py and benchmarks/rounds.py have them.
WINDOWS, WARM_UP_SHARE, ROUNDS = 5, 0.5, 3
# A side large enough that a device multiplies matrices as fast as it can.
MATMUL_SIDES = {"cpu": 2048, "cuda": 8192}


def settle(device: str) -> None:
    """Return when everything started on the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def window(turn: Callable[[], Any], seconds: float, device: str) -> float:
    """Turns a second."""
    start, turns = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        turn()
        turns += 1
    settle(device)
    return turns / (time.perf_counter() - start)


def measure(
    turn: Callable[[], Any], seconds: float, device: str
) -> tuple[float, float]:
    """Median turns a second after a warm-up, and the windows' range as a share."""
    window(turn, WARM_UP_SHARE * seconds, device)
    return spread_of([window(turn, seconds / WINDOWS, device) for _ in range(WINDOWS)])


def spread_of(found: Sequence[float]) -> tuple[float, float]:
    """The median, and the range as a share of it."""
    median = statistics.median(found)
    return median, (max(found) - min(found)) / median


def measure_step(
    step: Step, batch_size: int, seconds: float, device: str, flops: int, classes: int
) -> tuple[Callable[[], None], dict[str, Any]]:
    """The step on made-up images as a turn to take again, and its figures."""
    pixels = (batch_size, SIDE, SIDE, 3)
    noise = torch.randint(0, 256, pixels, dtype=torch.uint8, device=device)
    images = noise.permute(0, 3, 1, 2)
    labels = torch.arange(batch_size, device=device) % classes

    def turn() -> None:
        step(images, labels)

    settle(device)
    firsts = [1 / window(turn, 0.0001, device) for _ in range(2)]
    rate, spread = measure(turn, seconds, device)
    matmul = matmul_flops_per_second(step.dtype, seconds, device)
    return turn, {
        "definition": step.definition,
        "parameters": sum(weight.numel() for weight in step.network.parameters()),
        "images_per_second": rate * batch_size,
        "spread": spread,
        "step_seconds": 1 / rate,
        "first_step_seconds": firsts[0],
        "second_step_seconds": firsts[1],
        "step_flops": flops * batch_size,
        "flops_per_second": flops * batch_size * rate,
        "matmul_flops_per_second": matmul,
        "share_of_matmul": flops * batch_size * rate / matmul,
    }


def matmul_flops_per_second(dtype: torch.dtype, seconds: float, device: str) -> float:
    """What the device computes of a product of large matrices."""
    side = MATMUL_SIDES[device]
    matrix = torch.randn(side, side, device=device).to(dtype)
    rate, _ = measure(lambda: torch.matmul(matrix, matrix), seconds, device)
    return 2 * side**3 * rate


def measure_fed(
    alone: Callable[[], None],
    step: Step,
    feed: Iterator[Any],
    batch_size: int,
    seconds: float,
    device: str,
) -> dict[str, Any]:
    """Images/s from the DataLoader, as a share of the step alone, in turn."""
    rounds = []
    for _ in range(ROUNDS):
        rate, _ = measure(alone, seconds, device)
        fed, _ = measure(lambda: step(*next(feed)), seconds, device)
        rounds.append((rate, fed))
    ratio, spread = spread_of([fed / rate for rate, fed in rounds])
    median = statistics.median(fed for _, fed in rounds)
    return {
        "fed_images_per_second": median * batch_size,
        "ratio": ratio,
        "ratio_spread": spread,
    }


def measure_cell(
    cell: dict[str, Any], options: argparse.Namespace, device: str, flops: int
) -> dict[str, Any]:
    """The figures of one combination."""
    size = cell["batch_size"]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step = Step(device, options.classes, cell["precision"] == "mixed", cell["compile"])
    turn, found = measure_step(
        step, size, options.seconds, device, flops, options.classes
    )
    if options.photos:
        feed = batches(options.photos, size, options.workers, device)
        found |= measure_fed(turn, step, feed, size, options.seconds, device)
    if device == "cuda":
        found["peak_bytes"] = torch.cuda.max_memory_allocated()
    return found


def try_cell(
    cell: dict[str, Any], options: argparse.Namespace, device: str, flops: int
) -> dict[str, Any]:
    """The figures, or the error: memory that ran out is a result."""
    try:
        return measure_cell(cell, options, device, flops)
    except Exception as error:  # a compiler's as well; the others are still to come
        full = isinstance(error, torch.cuda.OutOfMemoryError)
        said = f"{type(error).__name__}: {error}"
        return {"error": said[:2000], "out_of_memory": full}


def make_parser() -> argparse.ArgumentParser:
    """The script's options."""
    parser = argparse.ArgumentParser(
        "python -m alexnet.benchmarks.scripts.gpu.torch_step", description=__doc__
    )
    parser.add_argument("--out", type=Path, help="JSON file; default: stdout")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=BATCH_SIZES)
    precisions = ("float32", "mixed")
    parser.add_argument(
        "--precisions", nargs="+", choices=precisions, default=precisions
    )
    switches = ("off", "on")
    parser.add_argument("--compile", nargs="+", choices=switches, default=switches)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each timing")
    parser.add_argument("--photos", type=Path, help="folder of 256 px JPEGs to feed")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="of a loader"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every combination; returns the exit code."""
    options = make_parser().parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # What TensorFlow does without being asked; cuDNN tries its algorithms out.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    report: dict[str, Any] = {"machine": {"device": name, **versions}, "rows": []}
    flops = training_flops(options.classes)
    for precision, compiles, size in product(
        options.precisions, options.compile, options.batch_sizes
    ):
        cell = {"precision": precision, "compile": compiles == "on", "batch_size": size}
        row = cell | try_cell(cell, options, device, flops)
        print(json.dumps(row)[:400], file=sys.stderr, flush=True)
        report["rows"].append(row)
        if options.out:
            options.out.write_text(json.dumps(report, indent=2))
        torch._dynamo.reset()
        if device == "cuda":
            torch.cuda.empty_cache()
    if not options.out:
        print(json.dumps(report, indent=2))
    failed = [r for r in report["rows"] if "error" in r and not r["out_of_memory"]]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
