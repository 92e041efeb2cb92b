"""`alexnet records ...`: build a record set, estimate it, look at it."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli import estimate, info, verify
from alexnet.cli.console import meter, print_json, print_table, say
from alexnet.cli.options import (
    DataArgument,
    ImageSizeOption,
    Json,
    Verbose,
    examples,
    parse_size,
)
from alexnet.cli.source import (
    LabelsOption,
    OutOption,
    QualityOption,
    ResizeOption,
    SideOption,
    SourceArgument,
    say_found,
    unlabelled_path,
)

if TYPE_CHECKING:
    from alexnet.pipeline.build.report import BuildReport

app = typer.Typer(
    help="Turn photos into sharded TFRecords, and look at them.",
    epilog=examples("alexnet records build train/"),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(
    epilog=examples(
        "alexnet records build train/",
        "alexnet records build photos.zip --out records --storage raw",
        "alexnet records build train/ --resize squash --validation-fraction 0.1",
        "alexnet records build /shared/train --out /shared/records --runner beam"
        " --beam-options '--runner=FlinkRunner --flink_master=host:8081'",
    )
)
def build(
    source: SourceArgument,
    out: OutOption = Path("records"),
    storage: Annotated[
        Literal["jpeg", "raw", "yuv420", "original"],
        typer.Option(help="What a record holds of its image."),
    ] = "jpeg",
    side: SideOption = 256,
    resize: ResizeOption = "crop",
    quality: QualityOption = 90,
    labels: LabelsOption = "auto",
    validation_fraction: Annotated[
        float, typer.Option(help="Share held out, 0 to 1; exact, and in every class.")
    ] = 0.25,
    seed: Annotated[int, typer.Option(help="Decides split and order.")] = 21,
    shards: Annotated[
        int | None, typer.Option(help="Train shards; validation gets its share.")
    ] = None,
    shard_size: Annotated[
        str, typer.Option(metavar="SIZE", help="No shard is to be larger.")
    ] = "128MiB",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one a CPU.")
    ] = None,
    max_bad: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the images that may be unusable; 0: none."
        ),
    ] = 0.01,
    runner: Annotated[
        Literal["local", "beam"],
        typer.Option(help="Who writes the shards: this machine, or Apache Beam."),
    ] = "local",
    beam_options: Annotated[
        str,
        typer.Option(
            metavar="OPTIONS",
            help="Of the Beam pipeline, quoted. Default: on this machine, to try it.",
        ),
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the record set in --out first.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Turn photos into sharded TFRecords.

    Bad images are set aside and named. The same files and settings give the same bytes;
    a build that was interrupted goes on where it stopped.
    """
    from alexnet.pipeline.build.build import build as run_build
    from alexnet.pipeline.build.build import require_beam
    from alexnet.pipeline.config import BuildConfig
    from alexnet.pipeline.source.scan import scan

    config = BuildConfig(
        storage=storage,
        side=side,
        resize=resize,
        quality=quality,
        labels=labels,
        validation_fraction=validation_fraction,
        seed=seed,
        shards=shards,
        shard_size_bytes=parse_size(shard_size),
    )
    beam = _beam(runner, beam_options)
    if beam is not None:
        require_beam()
        if not verbose:
            logging.disable(logging.WARNING)  # Beam's, about itself
        source = source.absolute()  # its workers may run in another folder
    found = scan(source, labels)
    try:
        say_found(source, found, verbose)
        with meter("building", "images") as shown:
            report = run_build(
                found,
                out,
                config,
                workers=workers,
                max_bad=max_bad,
                overwrite=overwrite,
                beam=beam,
                progress=shown.show,
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
        _print_report(report, verbose, unlabelled_path(found))


def _beam(runner: str, options: str) -> list[str] | None:
    """The Beam pipeline's options, one by one; None when Beam is not asked for.

    Raises:
        typer.BadParameter: they are not words, or are for nothing.
    """
    if runner == "beam":
        try:
            return shlex.split(options)
        except ValueError as error:
            raise typer.BadParameter(f"--beam-options {options!r}: {error}") from error
    if options:
        raise typer.BadParameter("--beam-options go with --runner beam")
    return None


def _print_report(report: BuildReport, verbose: bool, unlabelled: str | None) -> None:
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
    say(f"next: alexnet fit {shlex.quote(str(report.data))} --mixed-precision")
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
    shown = len(report.quarantined) if verbose else 5
    for bad in report.quarantined[:shown]:
        say(f"  {bad.key!r}: {bad.reason}")
    if len(report.quarantined) > shown:
        say(f"  ... and {len(report.quarantined) - shown} more")


@app.command(
    epilog=examples(
        "alexnet records show records",
        "alexnet records show records --augment article --out augmented.png",
    )
)
def show(
    data: DataArgument = Path("records"),
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path(
        "sheet.png"
    ),
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option(help="Default: train, or the first that has examples."),
    ] = None,
    augment: Annotated[
        Literal["article", "paper", "modern", "none"] | None,
        typer.Option(help="Show what the network would see with this augmentation."),
    ] = None,
    image_size: ImageSizeOption = 227,
    seed: Annotated[
        int, typer.Option(min=0, help="Decides which images, and the augmentation.")
    ] = 21,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Draw a contact sheet with labels: stored images, or augmented samples of them.

    The images are drawn at random from the whole split.
    """
    from alexnet.pipeline.inspect.contact_sheet import draw_sheet

    split_shown, shown = draw_sheet(data, out, split, augment, image_size, seed)
    if as_json:
        values = {"data": str(data), "split": split_shown, "images": shown}
        print_json({**values, "out": str(out)})
    else:
        say(f"{shown} {split_shown} images drawn: {out}")


info.add_commands(app)
estimate.add_commands(app)
verify.add_commands(app)
