"""`alexnet records ...`: build a record set, estimate it, look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli import estimate, info, verify
from alexnet.cli.beam import BeamOptions, RunnerOption, beam_words
from alexnet.cli.console import Meter, print_json, print_table, say
from alexnet.cli.options import DataArgument, Json, Verbose, command_group, examples
from alexnet.cli.quiet import start_xla_quietly
from alexnet.cli.settings import takes_settings
from alexnet.cli.source import (
    OutOption,
    SourceArgument,
    say_source,
    unlabelled_path,
)
from alexnet.model.config import NETWORK
from alexnet.pipeline.config import BUILD, MAX_BAD, BuildConfig, Preset, Split
from alexnet.pipeline.setting import MAX_SEED

if TYPE_CHECKING:
    from alexnet.pipeline.build.build import BuildReport

# Images set aside that are named without -v.
MOST_SET_ASIDE = 5

app = command_group(
    "Turn photos into sharded TFRecords, and look at them.",
    "alexnet records build train/",
)


@app.command(
    epilog=examples(
        "alexnet records build train/",
        "alexnet records build photos.zip --out records --storage raw",
        "alexnet records build s3://bucket/train --out s3://bucket/records",
        "alexnet records build train/ --resize squash --validation-fraction 0.1",
        "alexnet records build /shared/train --out /shared/records --runner beam"
        " --beam-options '--runner=FlinkRunner --flink_master=host:8081'",
    )
)
@takes_settings(BuildConfig)
def build(
    source: SourceArgument,
    out: OutOption = Path("records"),
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes. Default: one for each CPU."),
    ] = None,
    max_bad: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of the images that may be unusable; 0 allows none.",
        ),
    ] = MAX_BAD,
    runner: RunnerOption = "local",
    beam_options: BeamOptions = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the record set in --out first.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
) -> None:
    """Turn photos into sharded TFRecords.

    Bad images are set aside and named. The same files and settings give the same bytes;
    a build that was interrupted goes on where it stopped.
    """
    from alexnet.pipeline.build.build import build as run_build
    from alexnet.pipeline.source.scan import scan

    config = BuildConfig(**settings)
    beam = beam_words(runner, beam_options, verbose)
    if beam is not None:
        source = source.absolute()  # its workers may run in another folder
    photos = scan(source, config.labels)
    try:
        say_source(source, photos, verbose)
        with Meter("building", "images") as meter:
            report = run_build(
                photos,
                out,
                config,
                workers=workers,
                max_bad=max_bad,
                overwrite=overwrite,
                beam=beam,
                progress=meter.show,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: finished shards are kept in {out}; run the same command"
            " again to go on"
        ) from None
    except OSError:  # such as a full disk
        say(f"finished shards are kept in {out}; run the same command again to go on")
        raise
    if report.was_finished:
        say(f"{out} is finished already, with these settings; nothing to do")
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report, verbose, unlabelled_path(photos))


def _print_report(report: BuildReport, verbose: bool, unlabelled: str | None) -> None:
    from alexnet.cli.plan_messages import fit_command
    from alexnet.pipeline.files import count, format_bytes

    rows = [
        [
            name,
            f"{card.num_examples:,}",
            str(len(card.shards)),
            format_bytes(card.num_bytes),
        ]
        for name, card in report.manifest.splits.items()
    ]
    print_table(str(report.data), ["split", "examples", "shards", "size"], rows)
    if report.encoded:
        say(
            f"{count(report.encoded, 'image')} in {report.seconds:.1f} s:"
            f" {report.images_per_second:,.0f} images/s"
        )
    if report.manifest.quarantined:
        _say_set_aside(report, verbose)
    if report.manifest.duplicates:
        say(f"duplicates: {info.duplicates_text(report.manifest, report.data)}")
    say(f"next: {fit_command(report.data)}")
    if unlabelled:
        say(
            f"then, for the images without labels: alexnet predict RUN {unlabelled}"
            " --csv submission.csv"
        )


def _say_set_aside(report: BuildReport, verbose: bool) -> None:
    path = report.data / "quarantine.jsonl"
    if not report.quarantined:
        say(f"{report.manifest.quarantined} set aside; their list, {path}, is missing")
        return
    say(f"{len(report.quarantined)} set aside, see {path}:")
    most = len(report.quarantined) if verbose else MOST_SET_ASIDE
    for bad in report.quarantined[:most]:
        say(f"  {bad.key!r}: {bad.reason}")
    if len(report.quarantined) > most:
        say(f"  ... and {len(report.quarantined) - most} more")


@app.command(
    epilog=examples(
        "alexnet records show records",
        "alexnet records show records --augment article --out augmented.png",
    )
)
def show(
    data: DataArgument = Path("records"),
    out: Annotated[Path, typer.Option(help="Picture file to write.")] = Path(
        "sheet.png"
    ),
    split: Annotated[
        Split | None,
        typer.Option(
            help="Split to show. Default: train, or the first that has examples."
        ),
    ] = None,
    augment: Annotated[
        Preset | None,
        typer.Option(help="Show images as the network sees them, augmented this way."),
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=1, help="Side of the augmented images, in pixels.")
    ] = NETWORK.image_size,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_SEED,
            help="Seed of the choice of images and of their augmentation.",
        ),
    ] = BUILD.seed,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Draw a contact sheet of images with their labels, as stored or augmented.

    The images are drawn at random from the whole split; of a set at a URL, from its
    first shard.
    """
    from alexnet.model.training.hardware import hide_gpus
    from alexnet.pipeline.inspect.contact_sheet import draw_sheet

    hide_gpus()
    if augment:
        start_xla_quietly()
    drawn, number = draw_sheet(data, out, split, augment, image_size, seed)
    if as_json:
        values = {"data": str(data), "split": drawn, "images": number}
        print_json({**values, "out": str(out)})
    else:
        say(f"{number} {drawn} images drawn: {out}")


for module in (info, estimate, verify):
    app.add_typer(module.app)
