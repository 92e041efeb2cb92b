"""`alexnet records estimate`: size and speed of every storage, by sample builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.benchmarks.config import BUILD, EstimateConfig
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
    from alexnet.benchmarks.estimate import Estimate, EstimateReport

DEFAULTS = EstimateConfig()


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
    side: SideOption = DEFAULTS.side,
    resize: ResizeOption = DEFAULTS.resize,
    quality: QualityOption = DEFAULTS.quality,
    labels: LabelsOption = BUILD.labels,
    sample: Annotated[int, typer.Option(help="Number of photos to try.")] = (
        DEFAULTS.sample
    ),
    seconds: Annotated[
        float,
        typer.Option(help="Seconds of reading each storage, after half of that."),
    ] = DEFAULTS.seconds,
    train_images_per_second: Annotated[
        float | None,
        typer.Option(
            help="Images per second that your device trains on: see `alexnet bench"
            " train-step`."
        ),
    ] = DEFAULTS.train_images_per_second,
    train_step: Annotated[
        bool,
        typer.Option("--train-step", help="Measure the training step on this machine."),
    ] = DEFAULTS.train_step,
    mixed_precision: MixedPrecisionOption = DEFAULTS.mixed_precision,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Predict size, duration and reading speed of every storage, before you build.

    Some photos are built in each storage beside --out, read, and deleted again.
    """
    from alexnet.pipeline.source.scan import scan

    photos = scan(source, labels)
    say_found(source, photos, verbose)
    # After the scan: TensorFlow, which it brings, takes seconds.
    from alexnet.benchmarks.estimate import run_estimate

    config = EstimateConfig(
        side=side,
        resize=resize,
        quality=quality,
        sample=sample,
        seconds=seconds,
        train_images_per_second=train_images_per_second,
        train_step=train_step,
        mixed_precision=mixed_precision,
    )
    with meter("trying", "steps") as progress:
        report = run_estimate(source, photos, out, config, progress.announce)
    if as_json:
        print_json(report.to_json())
    else:
        _print_estimate(report)


def _print_estimate(report: EstimateReport) -> None:
    from alexnet.pipeline.files import count

    title = (
        f"{report.source}: {count(report.num_images, 'image')},"
        f" {report.sample:,} tried, at {report.side} px"
    )
    columns = ["storage", "size", "an image", "build", "images/s", "fits", "enough"]
    rows = [[name, *_cells(each)] for name, each in report.storages.items()]
    print_table(title, columns, rows)
    print(report.advice)
    if report.num_bad:
        say(f"{report.num_bad} of the {report.sample:,} cannot be used")


def _cells(estimate: Estimate) -> list[str]:
    """A storage's estimate, for people."""
    from alexnet.pipeline.files import format_bytes

    error = f"{estimate.bytes_error / estimate.bytes:.1%}"
    return [
        format_bytes(estimate.bytes) + (f" ±{error}" if error != "0.0%" else ""),
        format_bytes(estimate.bytes_per_image),
        f"{estimate.build_seconds:,.0f} s",
        f"{estimate.images_per_second:,.0f} ±{estimate.spread / 2:.0%}"
        + ("" if estimate.in_memory else " (disk)"),
        "yes" if estimate.fits_disk else "no",
        {None: "?", True: "yes", False: "no"}[estimate.fed],
    ]
