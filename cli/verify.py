"""`alexnet records verify`: read everything, name what is damaged, mend it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.beam import BeamOptions, RunnerOption, beam_words
from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.options import (
    TAKES_URLS,
    DataArgument,
    Json,
    Place,
    Verbose,
    examples,
)

if TYPE_CHECKING:
    from alexnet.pipeline.verify.damage import BadRecord
    from alexnet.pipeline.verify.repair import Origin
    from alexnet.pipeline.verify.verify import VerifyReport

# Damaged records that are printed without -v.
MOST_RECORDS = 20


app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet records verify records",
        "alexnet records verify records --repair --source train/",
        "alexnet records verify s3://bucket/records",
        "alexnet records verify /shared/records --runner beam"
        " --beam-options '--runner=FlinkRunner --flink_master=host:8081'",
    )
)
def verify(
    data: DataArgument = Path("records"),
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Build damaged shards again from the photos."),
    ] = False,
    source: Annotated[
        Place | None,
        typer.Option(
            metavar="SOURCE",
            help="Photos that the records were built from.",
            **TAKES_URLS,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of shards to read at a time; a runner of Beam that"
            " --beam-options name has its own. Default: one for each CPU.",
        ),
    ] = None,
    runner: RunnerOption = "local",
    beam_options: BeamOptions = "",
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that all of Beam's workers see, where they say what they have"
            " found. Default: the record set's.",
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Read every byte of every shard, and name the damaged records.

    Exits with 1 where some are. --repair builds the broken shards again, byte for byte,
    and leaves the others alone: on this machine, also where Beam's workers read.
    """
    from alexnet.pipeline.records.record_set import repair_hint
    from alexnet.pipeline.verify.repair import find_origin, name_photos

    if repair and source is None:
        raise typer.BadParameter("--repair needs --source, the photos")
    if answers and runner != "beam":
        raise typer.BadParameter("--answers goes with --runner beam")
    beam = beam_words(runner, beam_options, verbose)
    origin = find_origin(data, source) if source else None
    report = _read(data, workers=workers, beam=beam, answers=answers)
    if origin:
        report = name_photos(report, origin)
    if not as_json:
        _print_bad(report, verbose)
    if origin and repair:
        report = _mend(report, origin, workers)
        if report.repaired and not as_json:
            print(f"mended: {', '.join(report.repaired)}")
            _print_bad(report, verbose)
    if as_json:
        print_json(report.to_json())
    if report.bad:
        say(repair_hint(data))
        raise typer.Exit(1)


def _read(data: Place, **how: Any) -> VerifyReport:
    from alexnet.pipeline.verify.verify import verify as run_verify

    with Meter("verifying", "MiB") as meter:
        return run_verify(
            data, lambda done, total: meter.show(done >> 20, total >> 20), **how
        )


def _mend(report: VerifyReport, origin: Origin, workers: int | None) -> VerifyReport:
    """Repair the shards that `report` names, and read them again, both here."""
    from alexnet.pipeline.verify.repair import repair

    try:
        with Meter("mending", "images") as meter:
            repaired = repair(report, origin, meter.show)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted: mended shards are kept, the others are as they were; run the"
            " same command again to go on"
        ) from None
    read_again = _read(report.data, names=repaired, workers=workers)
    return replace(read_again, repaired=repaired)


def _print_bad(report: VerifyReport, verbose: bool) -> None:
    from alexnet.pipeline.files import count

    most = len(report.bad) if verbose else MOST_RECORDS
    for bad in report.bad[:most]:
        print(_describe(bad))
    if len(report.bad) > most:
        print(f"... and {len(report.bad) - most} more")
    if not report.bad:
        print(
            f"{report.data}: {count(report.num_examples, 'example')}, every byte is"
            " what was written"
        )


def _describe(bad: BadRecord) -> str:
    """Return a line such as 'train-00000-of-00004.tfrecord, record 3: ...'."""
    place = bad.shard
    if bad.record is not None:
        place += f", record {bad.record}"
    if bad.offset is not None:
        place += f", byte {bad.offset}"
    if bad.key is not None:
        place += f" ({bad.key!r})"
    return f"{place}: {bad.reason}"
