"""`alexnet records estimate`: what each storage would take and give, by a trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.console import Meter, print_json, print_table, say
from alexnet.cli.options import Json, Verbose, examples
from alexnet.cli.settings import takes_settings
from alexnet.cli.source import OutOption, SourceArgument, say_source
from alexnet.model.config import TrainConfig
from alexnet.pipeline.config import BuildConfig

if TYPE_CHECKING:
    from alexnet.benchmarks.estimate.estimate import RecordsPlanReport
    from alexnet.benchmarks.estimate.forecast import Forecast

SETTINGS = ("labels", "side", "resize", "quality", "mixed_precision")


app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet records estimate train/",
        "alexnet records estimate train/ --side 128 --train-images-per-second 2500",
        "alexnet records estimate photos.zip --train-step --mixed-precision --json",
    )
)
@takes_settings(BuildConfig, TrainConfig, only=SETTINGS)
def estimate(
    source: SourceArgument,
    out: OutOption = Path("records"),
    sample: Annotated[int, typer.Option(help="Number of photos to try.")] = 300,
    seconds: Annotated[
        float, typer.Option(help="Seconds to read each storage, after a warm-up.")
    ] = 2.0,
    train_images_per_second: Annotated[
        float | None,
        typer.Option(
            help="Images a second that your device trains on, as `alexnet bench"
            " train-step` measures them."
        ),
    ] = None,
    train_step: Annotated[
        bool, typer.Option("--train-step", help="Measure that here instead.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
) -> None:
    """Predict size, duration and reading speed of every storage, before you build.

    Some photos are built in each storage beside --out, read, and deleted again.
    """
    from alexnet.pipeline.source.scan import scan

    photos = scan(source, settings.pop("labels"))
    say_source(source, photos, verbose)
    # After the scan: TensorFlow, which it brings, takes seconds.
    from alexnet.benchmarks.estimate.estimate import ForecastConfig, run_records_plan

    config = ForecastConfig(
        sample=sample,
        seconds=seconds,
        train_images_per_second=train_images_per_second,
        train_step=train_step,
        **settings,
    )
    with Meter("trying", "steps") as meter:
        report = run_records_plan(source, photos, out, config, meter.announce)
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
    rows = [[name, *_cells(forecast)] for name, forecast in report.storages.items()]
    print_table(title, columns, rows)
    print(report.advice)
    if report.num_bad:
        say(f"{report.num_bad} of the {report.sample:,} cannot be used")


def _cells(forecast: Forecast) -> list[str]:
    """Return the cells of a storage's row."""
    from alexnet.pipeline.files import format_bytes

    error = f"{forecast.bytes_error / forecast.bytes:.1%}"
    return [
        format_bytes(forecast.bytes) + (f" ±{error}" if error != "0.0%" else ""),
        format_bytes(forecast.bytes_per_image),
        f"{forecast.build_seconds:,.0f} s",
        f"{forecast.images_per_second:,.0f} ±{forecast.spread / 2:.0%}"
        + ("" if forecast.in_memory else " (disk)"),
        "yes" if forecast.fits_disk else "no",
        {None: "?", True: "yes", False: "no"}[forecast.fed],
    ]
