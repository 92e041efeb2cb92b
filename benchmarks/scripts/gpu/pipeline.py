"""What the host delivers, and its limits: `bench input-pipeline`, set after set.

Give a folder for each storage; each is read in every way that it allows, in a process
of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alexnet.benchmarks.input_pipeline.input_pipeline import run_bench
from alexnet.benchmarks.input_pipeline.plan import BenchConfig
from alexnet.benchmarks.scripts.gpu.attempt import attempt
from alexnet.benchmarks.scripts.gpu.report import (
    Report,
    add_settings,
    make_parser,
    names_of,
    read_settings,
    run,
)
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records

MEASURE = "alexnet.benchmarks.scripts.gpu.pipeline:measure_pipeline"


def readers_of(records: OpenedRecords) -> Iterator[str]:
    """The ways to read a record set."""
    for name in ("mmap", "stream"):
        try:
            yield records.reader(name).name
        except ConfigError:
            continue


def measure_pipeline(data: str, **settings: Any) -> dict[str, Any]:
    """The report of `bench input-pipeline`, without a training step."""
    return run_bench(Path(data), BenchConfig.from_json(settings)).to_json()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every record set in every way; returns the exit code."""
    parser = make_parser("pipeline", __doc__)
    parser.add_argument("data", type=Path, nargs="+", help="record sets")
    add_settings(parser, names_of(BenchConfig))
    options = parser.parse_args(arguments)
    others = {"augment": "paper", **read_settings(options.set, options.known)}
    sets = [open_records(data) for data in options.data]
    report = Report(options)
    for records in sets:
        for reader in readers_of(records):
            settings = {"data": str(records.folder), **others, "reader": reader}
            shown = {"storage": records.storage.name, **settings}
            report.add(shown | attempt(MEASURE, settings))
    return report.finish()


if __name__ == "__main__":
    sys.exit(run(main))
