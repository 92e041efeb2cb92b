"""`alexnet records estimate`: size and speed of every storage, by sample builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.benchmarks.config import EstimateConfig
from alexnet.cli.beam import BeamOptions, RunnerOption, beam_words
from alexnet.cli.console import Meter, print_json, print_table, say
from alexnet.cli.options import Json, Verbose, examples
from alexnet.cli.quiet import start_xla_quietly
from alexnet.cli.settings import takes_settings
from alexnet.cli.source import SourceArgument, say_source
from alexnet.model.config import TrainConfig
from alexnet.pipeline.config import BuildConfig

if TYPE_CHECKING:
    from alexnet.benchmarks.estimate import EstimateReport
    from alexnet.benchmarks.storage_choice import Estimate

SETTINGS = (
    *("labels", "side", "resize", "quality", "mixed_precision"),
    *("sample", "seconds", "workers", "train_images_per_second", "train_step"),
)


app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet records estimate train/",
        "alexnet records estimate train/ --side 128 --train-images-per-second 2500",
        "alexnet records estimate photos.zip --train-step --mixed-precision --json",
        "alexnet records estimate /shared/train --out /shared/records --runner beam"
        " --beam-options '--runner=FlinkRunner --flink_master=host:8081' --workers 40",
    )
)
@takes_settings(EstimateConfig, BuildConfig, TrainConfig, only=SETTINGS)
def estimate(
    source: SourceArgument,
    out: Annotated[
        Path, typer.Option(help="Folder on the disk to try, where records would go.")
    ] = Path("records"),
    runner: RunnerOption = "local",
    beam_options: BeamOptions = "",
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
) -> None:
    """Predict size, duration and reading speed of every storage, before you build.

    Some photos are built in each storage beside --out, read, and deleted again. Beam's
    workers build them with --runner beam, each storage on one; they are read here.
    """
    from alexnet.pipeline.source.scan import scan

    beam = beam_words(runner, beam_options, verbose)
    if beam is not None:
        source = source.absolute()  # its workers may run in another folder
    photos = scan(source, settings.pop("labels"))
    say_source(source, photos, verbose)
    # After the scan: TensorFlow, which it brings, takes seconds.
    from alexnet.benchmarks.estimate import run_estimate
    from alexnet.model.training.hardware import enable_memory_growth, hide_gpus

    config = EstimateConfig(**settings)
    if config.train_step:
        enable_memory_growth()
        start_xla_quietly()
    else:
        hide_gpus()
    with Meter("trying", "steps") as meter:
        report = run_estimate(source, photos, out, config, meter.announce, beam=beam)
    if as_json:
        print_json(report.to_json())
    else:
        _print_estimate(report)


def _print_estimate(report: EstimateReport) -> None:
    from alexnet.pipeline.files import count

    title = (
        f"{report.source}: {count(report.num_images, 'image')},"
        f" {report.sample:,} tried, at {report.side} px, to be built by"
        f" {count(report.workers, 'worker')}"
    )
    columns = ["storage", "size", "an image", "build", "images/s", "fits", "enough"]
    rows = [[name, *_cells(each)] for name, each in report.storages.items()]
    print_table(title, columns, rows)
    print(report.advice)
    if report.num_bad:
        say(f"{report.num_bad} of the {report.sample:,} cannot be used")


def _cells(estimate: Estimate) -> list[str]:
    """Return the cells of a storage's row: what is predicted of it, for people."""
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
