"""`alexnet doctor`: is this machine well, and what would make it faster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.console import print_json, stdout
from alexnet.cli.options import Json, Verbose, examples

if TYPE_CHECKING:
    from alexnet.benchmarks.doctor.doctor import DoctorReport


app = typer.Typer()


@app.command(epilog=examples("alexnet doctor", "alexnet doctor records --json"))
def doctor(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="Folder on the disk to measure."),
    ] = Path(),
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Look at packages, CPUs, GPUs, memory and disk, and say what to change.

    64 MiB are read on the disk, and written first where DATA holds no shard. Exits
    with 1 where something is broken.
    """
    from alexnet.benchmarks.doctor.doctor import examine

    report = examine(data)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(1)


def _print_report(report: DoctorReport) -> None:
    from rich.table import Table

    table = Table("", "found", "state")
    for finding in report.findings:
        table.add_row(finding.name, finding.value, finding.state)
    stdout().print(table)
    for finding in report.findings:
        if finding.advice:
            print(f"{finding.state}: {finding.name}. {finding.advice}")
