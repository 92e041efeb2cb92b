"""The article's training step beside PyTorch's on the same machine.

`python -m alexnet.benchmarks.scripts.train_step_vs_torch`. The same network, batch and
optimizer, in turn, each in a process of its own; PyTorch in channels_last, with and
without torch.compile, from the environment `torch` of `make loaders`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from alexnet.benchmarks.loaders.environment import require_environment
from alexnet.benchmarks.rounds import ROUNDS, Round, medians, ratios
from alexnet.benchmarks.scripts.command import read_json
from alexnet.pipeline.errors import AlexnetError

SCRIPT = Path(__file__).with_name("torch_step.py")
OURS, EAGER, COMPILED = "alexnet", "torch", "torch.compile"
# Our half precision is float16 on a GPU and bfloat16 on a CPU.
PRECISIONS = ("float32", "bfloat16", "float16")


def measure_round(python: Path, precision: str, options: Namespace) -> Round:
    """Images per second of every contender, one after the other.

    Raises:
        ConfigError: PyTorch's step failed.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        mixed = precision != "float32"
        size, seconds = options.batch_size, options.seconds
        rates = {OURS: pool.submit(measure_ours, mixed, size, seconds).result()}
    for name in (EAGER, COMPILED):
        words = ["--precision", precision, *(["--compile"] * (name == COMPILED))]
        rates[name] = measure_torch(python, words, size, seconds)
    return rates


def measure_ours(mixed_precision: bool, batch_size: int, seconds: float) -> float:
    """Images per second of `bench train-step`, without random augmentation."""
    from alexnet.benchmarks.measure import Stopwatch
    from alexnet.benchmarks.train_step import TrainStepConfig, plan_train_step

    config = TrainStepConfig(
        seconds=seconds,
        batch_size=batch_size,
        augment="none",
        mixed_precision=mixed_precision,
    )
    stopwatch = Stopwatch(seconds, 1, lambda name, done, total: None)
    return stopwatch.time(plan_train_step(config).step).images_per_second


def measure_torch(
    python: Path, words: list[str], batch_size: int, seconds: float
) -> float:
    """Images per second of PyTorch's step.

    Raises:
        ConfigError: it failed.
    """
    # -E: a PYTHONPATH of ours would lead into another environment.
    command = [str(python), "-E", str(SCRIPT), *words]
    command += ["--batch-size", str(batch_size), "--seconds", str(seconds)]
    return float(read_json(command)["images_per_second"])


def compare(precision: str, options: Namespace) -> dict[str, Any]:
    """Medians of the rounds, and ours by each of PyTorch's.

    Raises:
        ConfigError: PyTorch's environment is not set up, or its step failed.
    """
    python = require_environment("torch-pillow")
    rounds = [measure_round(python, precision, options) for _ in range(options.rounds)]
    by = {name: vars(ratio) for name, ratio in ratios(rounds, OURS).items()}
    return {
        "precision": precision,
        "batch_size": options.batch_size,
        "images_per_second": medians(rounds),
        "ours_by": by,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a JSON line for every precision; returns the exit code."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.train_step_vs_torch", description=__doc__
    )
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS[:2]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each turn")
    options = parser.parse_args(arguments)
    try:
        for precision in options.precisions:
            print(json.dumps(compare(precision, options)), flush=True)
    except AlexnetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
