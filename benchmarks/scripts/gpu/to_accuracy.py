"""How long training takes until a validation accuracy: seconds and epochs to each.

`fit` itself with its defaults, once for every seed, from fresh weights until the
highest accuracy asked for is reached or the epochs end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alexnet.benchmarks.scripts.gpu.attempt import attempt
from alexnet.benchmarks.scripts.gpu.report import (
    Report,
    add_settings,
    make_parser,
    names_of,
    read_settings,
    run,
)
from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.metrics import Metrics

MEASURE = "alexnet.benchmarks.scripts.gpu.to_accuracy:measure_training"
ACCURACIES = (0.85, 0.90)
# Twenty epochs of a large set on one device.
LIMIT_SECONDS = 4 * 3600.0


class Reached(Exception):
    """The highest accuracy was reached; ends a training in good order."""


class Watch:
    """Takes the time of every epoch, from the training's very beginning."""

    def __init__(self, enough: float) -> None:
        self.enough = enough
        self.epochs: list[dict[str, Any]] = []
        self.first_step_seconds: float | None = None
        self._began = time.monotonic()

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def start(self, first_step: int, total_steps: int) -> None:
        """The weights are there, and the batches are about to come."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Note the first step's end, which came with compiling."""
        if self.first_step_seconds is None:
            self.first_step_seconds = self._elapsed

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """Note the epoch.

        Raises:
            Reached: it is good enough.
        """
        elapsed = {"elapsed_seconds": self._elapsed, "gpu": gpu}
        self.epochs.append(asdict(record) | elapsed)
        if record.val_accuracy is not None and record.val_accuracy >= self.enough:
            raise Reached


def measure_training(
    data: str, enough: float, settings: dict[str, Any]
) -> dict[str, Any]:
    """Train until it is `enough`: every epoch, and the seconds since the beginning."""
    from alexnet.model.training.hardware import set_up_hardware
    from alexnet.model.training.plan import plan_training
    from alexnet.model.training.run import RunFolder
    from alexnet.model.training.training import train

    with TemporaryDirectory(prefix="alexnet-to-accuracy-") as folder:
        plan = plan_training(Path(data), RunFolder(Path(folder) / "run"), settings)
        hardware = set_up_hardware(plan.config.train)
        watch = Watch(enough)
        with suppress(Reached):
            train(plan, hardware, watch)
    return {
        "hardware": hardware.describe(),
        "first_step_seconds": watch.first_step_seconds,
        "epochs": watch.epochs,
    }


def crossings(
    epochs: Sequence[dict[str, Any]], accuracies: Sequence[float]
) -> list[dict[str, Any]]:
    """For each accuracy the first epoch that has it, None where none does."""
    found = []
    for accuracy in accuracies:
        reached = (e for e in epochs if (e["val_accuracy"] or 0) >= accuracy)
        first = next(reached, {"epoch": None, "elapsed_seconds": None})
        seconds = first["elapsed_seconds"]
        found.append(
            {"accuracy": accuracy, "epoch": first["epoch"], "seconds": seconds}
        )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with every seed; returns the exit code."""
    parser = make_parser("to_accuracy", __doc__)
    parser.add_argument("data", type=Path, help="a record set with a validation split")
    parser.add_argument("--accuracies", nargs="+", type=float, default=ACCURACIES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[TrainConfig().seed])
    add_settings(parser, names_of(NetworkConfig, TrainConfig))
    options = parser.parse_args(arguments)
    asked = {"mixed_precision": True, **read_settings(options.set, options.known)}
    report = Report(options)
    for seed in options.seeds:
        row = {
            "data": str(options.data),
            "enough": max(options.accuracies),
            "settings": {**asked, "seed": seed},
        }
        found = attempt(MEASURE, row, LIMIT_SECONDS)
        reached = crossings(found.get("epochs", ()), options.accuracies)
        report.add({"reached": reached, **row, **found})
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(main))
