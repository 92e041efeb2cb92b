"""The input pipeline and the training step on two TensorFlows, in turn.

`python -m alexnet.benchmarks.scripts.floors RECORDS --other .venv-3.13/bin/python` from
the environment of one, each turn in a process of its own; the ratio is the other's
speed by this one's.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.benchmarks.rounds import ROUNDS, medians, ratios
from alexnet.benchmarks.scripts.command import read_json
from alexnet.pipeline.errors import AlexnetError

HERE, OTHER = "here", "other"


def measure(python: str, records: Path, seconds: float) -> dict[str, float]:
    """Images per second of every rung of the pipeline, and of the step.

    Raises:
        ConfigError: an environment has no alexnet, or it failed.
    """
    words = [str(records), "--no-train-step"]
    found = _bench(python, "input-pipeline", words, seconds)
    rates = {rung["stage"]: rung["images_per_second"] for rung in found["rungs"]}
    for name, options in (("float32", []), ("half", ["--mixed-precision"])):
        found = _bench(python, "train-step", options, seconds)
        rates[f"train step, {name}"] = found["images_per_second"]
    return rates


def _bench(python: str, what: str, words: list[str], seconds: float) -> dict[str, Any]:
    command = [python, "-m", "alexnet", "bench", what, *words]
    command += ["--seconds", str(seconds), "--json"]
    return read_json(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a JSON line for every figure; returns the exit code."""
    parser = ArgumentParser(
        "python -m alexnet.benchmarks.scripts.floors", description=__doc__
    )
    parser.add_argument("records", type=Path)
    parser.add_argument("--other", required=True, help="the other's Python")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each figure")
    options = parser.parse_args(arguments)
    pythons = {HERE: sys.executable, OTHER: options.other}
    try:
        rounds = [
            {
                name: measure(python, options.records, options.seconds)
                for name, python in pythons.items()
            }
            for _ in range(options.rounds)
        ]
    except (AlexnetError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for what in rounds[0][HERE]:
        rates = [{name: turn[name][what] for name in pythons} for turn in rounds]
        ratio = vars(ratios(rates, OTHER)[HERE])
        print(json.dumps({"what": what, **medians(rates), **ratio}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
