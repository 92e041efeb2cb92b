"""`alexnet predict`: the classes of images, on the screen and as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.options import (
    TAKES_URLS,
    CheckpointOption,
    Json,
    Place,
    RunArgument,
    Verbose,
    examples,
)

if TYPE_CHECKING:
    from alexnet.model.results.prediction import PredictionReport

# Classes counted in the summary.
MOST_CLASSES = 5


app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet predict runs/first photo.jpg",
        "alexnet predict runs/first test/ --csv submission.csv",
        "alexnet predict runs/first 's3://bucket/test/*.jpg'",
    )
)
def predict(
    run: RunArgument,
    images: Annotated[
        list[Place],
        typer.Argument(
            metavar="IMAGE_OR_FOLDER...",
            help="Image files; folders, archives, tables, patterns of them; or URLs of"
            " these.",
            **TAKES_URLS,
        ),
    ],
    top_k: Annotated[
        int, typer.Option(min=1, help="Number of classes to print for an image.")
    ] = 5,
    csv: Annotated[
        Path | None,
        typer.Option(help="CSV file to write, in the form of a Kaggle submission."),
    ] = None,
    checkpoint: CheckpointOption = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Classify images; those that cannot be read are named, and the rest is done."""
    from alexnet.model.results.prediction import predict as run_prediction

    with Meter("predicting", "images") as meter:
        report = run_prediction(run, images, checkpoint=checkpoint, progress=meter.show)
    if csv:
        say(f"{report.save_csv(csv):,} images written: {csv}")
    if as_json:
        print_json(report.to_json())
    else:
        _print_predictions(report, top_k)
    for failed in report.failed:
        say(f"{failed.image}: {failed.error}")
    say(_summary(report))
    if report.failed:
        raise typer.Exit(1)


def _print_predictions(report: PredictionReport, top_k: int) -> None:
    for prediction in report.predictions:
        if prediction.error is None:
            ranked = sorted(
                zip(prediction.probabilities, report.class_names, strict=True),
                reverse=True,
            )
            classes = ", ".join(f"{name} {p:.1%}" for p, name in ranked[:top_k])
            print(f"{prediction.image}: {classes}")


def _summary(report: PredictionReport) -> str:
    """Return how many images are of which class: '3 images: 2 cat, 1 dog; ...'."""
    from alexnet.pipeline.files import count

    counts = report.class_counts
    parts = [f"{n:,} {name}" for name, n in counts.most_common(MOST_CLASSES)]
    if len(counts) > MOST_CLASSES:
        others = counts.total() - sum(n for _, n in counts.most_common(MOST_CLASSES))
        parts.append(f"{others:,} of {len(counts) - MOST_CLASSES:,} other classes")
    if report.failed:
        parts.append(f"{len(report.failed):,} failed")
    return (
        f"{count(len(report.predictions), 'image')}: {', '.join(parts)};"
        f" {report.checkpoint} checkpoint, epoch {report.epoch}"
    )
