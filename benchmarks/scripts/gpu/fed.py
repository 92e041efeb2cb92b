"""Training fed with real records, as a share of the step alone.

Both in one process and in turn: the step on one batch that the device holds, then
`fit`'s own path for some hundred steps; for mapped and for streamed records.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from alexnet.benchmarks.measure import Deliveries, measure, wait_for_devices
from alexnet.benchmarks.rounds import ROUNDS, medians, ratios
from alexnet.benchmarks.scripts.gpu.attempt import attempt
from alexnet.benchmarks.scripts.gpu.pipeline import readers_of
from alexnet.benchmarks.scripts.gpu.report import (
    Report,
    add_settings,
    make_parser,
    names_of,
    read_settings,
    run,
)
from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.training.gpu_monitor import Load
from alexnet.pipeline.read.opened_records import open_records

MEASURE = "alexnet.benchmarks.scripts.gpu.fed:measure_fed"
STEP, FED = "step", "fed"


def measure_fed(
    data: str, steps: int, seconds: float, rounds: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Images/s of both ways, their ratio, and how the fed one spent its time."""
    from alexnet.benchmarks.scripts.gpu.session import Session, watch_gpu

    session = Session(Path(data), settings)
    batch = next(iter(session.batches()))
    speeds, waits, loads = [], [], []
    with watch_gpu() as watch:
        for _ in range(rounds):
            alone = measure(_repeat(session.step, batch), seconds, wait_for_devices)
            fitted = session.fit(steps, watch)
            fed = fitted.images_per_second
            speeds.append({STEP: alone.images_per_second, FED: fed})
            waits.append(fitted.input_wait_share)
            loads += fitted.samples
    ratio = ratios(speeds, FED)[STEP]
    return {
        "hardware": session.hardware.describe(),
        "images_per_second": medians(speeds),
        "ratio": ratio.ratio,
        "ratio_spread": ratio.spread,
        "input_wait_share": median(waits),
        **asdict(Load.of(loads)),
        "each_round": speeds,
    }


def _repeat(step: Callable[..., Any], batch: Sequence[Any]) -> Deliveries:
    while True:
        step(*batch)
        yield len(batch[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every record set in every way; returns the exit code."""
    parser = make_parser("fed", __doc__)
    parser.add_argument("data", type=Path, nargs="+", help="record sets")
    parser.add_argument("--steps", type=int, default=200, help="of a round, that count")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the step alone")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    add_settings(parser, names_of(NetworkConfig, TrainConfig))
    options = parser.parse_args(arguments)
    asked = {"mixed_precision": True, **read_settings(options.set, options.known)}
    sets = [open_records(data) for data in options.data]
    report = Report(options)
    for records in sets:
        for reader in readers_of(records):
            row = {
                "data": str(records.folder),
                "steps": options.steps,
                "seconds": options.seconds,
                "rounds": options.rounds,
                "settings": {**asked, "reader": reader},
            }
            found = attempt(MEASURE, row)
            report.add(
                {"storage": records.storage.name, "reader": reader, **found, **row}
            )
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(main))
