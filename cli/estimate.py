"""`alexnet records estimate`: what each storage would take and give, by a trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.console import meter, print_json, print_table, say
from alexnet.cli.options import Json, MixedPrecisionOption, Verbose, examples
from alexnet.cli.source import (
    LabelsOption,
    OutOption,
    QualityOption,
    ResizeOption,
    SideOption,
    SourceArgument,
    say_found,
)

if TYPE_CHECKING:
    from alexnet.benchmarks.estimate.estimate import RecordsPlanReport
    from alexnet.benchmarks.estimate.forecast import Forecast


def add_commands(app: typer.Typer) -> None:
    """Add `estimate` to the commands for records."""
    app.command(
        epilog=examples(
            "alexnet records estimate train/",
            "alexnet records estimate train/ --side 128 --train-images-per-second 2500",
            "alexnet records estimate photos.zip --train-step --mixed-precision --json",
        )
    )(estimate)


def estimate(
    source: SourceArgument,
    out: OutOption = Path("records"),
    side: SideOption = 256,
    resize: ResizeOption = "crop",
    quality: QualityOption = 90,
    labels: LabelsOption = "auto",
    sample: Annotated[int, typer.Option(help="How many photos are tried.")] = 300,
    seconds: Annotated[
        float, typer.Option(help="For reading each storage, after a warm-up.")
    ] = 2.0,
    train_images_per_second: Annotated[
        float | None,
        typer.Option(help="What your device takes: see `alexnet bench train-step`."),
    ] = None,
    train_step: Annotated[
        bool, typer.Option("--train-step", help="Measure that here.")
    ] = False,
    mixed_precision: MixedPrecisionOption = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Predict size, duration and reading speed of every storage, before you build.

    Some photos are built in each storage beside --out, read, and deleted again.
    """
    from alexnet.pipeline.source.scan import scan

    found = scan(source, labels)
    say_found(source, found, verbose)
    # After the scan: TensorFlow, which it brings, takes seconds.
    from alexnet.benchmarks.estimate.estimate import ForecastConfig, run_records_plan

    config = ForecastConfig(
        side=side,
        resize=resize,
        quality=quality,
        sample=sample,
        seconds=seconds,
        train_images_per_second=train_images_per_second,
        train_step=train_step,
        mixed_precision=mixed_precision,
    )
    with meter("trying", "steps") as shown:
        report = run_records_plan(source, found, out, config, shown.announce)
    if as_json:
        print_json(report.to_json())
    else:
        _print_estimate(report)


def _print_estimate(report: RecordsPlanReport) -> None:
    from alexnet.pipeline.files import count

    title = (
        f"{report.source}: {count(report.num_images, 'image')},"
        f" {report.sample:,} tried, at {report.side} px"
    )
    columns = ["storage", "size", "an image", "build", "images/s", "fits", "enough"]
    rows = [[name, *_cells(one)] for name, one in report.storages.items()]
    print_table(title, columns, rows)
    print(report.advice)
    if report.num_bad:
        say(f"{report.num_bad} of the {report.sample:,} cannot be used")


def _cells(one: Forecast) -> list[str]:
    """What is predicted of a storage, for people."""
    from alexnet.pipeline.files import format_bytes

    error = f"{one.bytes_error / one.bytes:.1%}"
    return [
        format_bytes(one.bytes) + (f" ±{error}" if error != "0.0%" else ""),
        format_bytes(one.bytes_per_image),
        f"{one.build_seconds:,.0f} s",
        f"{one.images_per_second:,.0f} ±{one.spread / 2:.0%}"
        + ("" if one.in_memory else " (disk)"),
        "yes" if one.fits_disk else "no",
        {None: "?", True: "yes", False: "no"}[one.fed],
    ]
