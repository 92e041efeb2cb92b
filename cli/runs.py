"""What one does with a run: evaluate, predict, plot; a network's summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.console import meter, print_json, print_table, say
from cli.options import (
    CheckpointOption,
    ImageSizeOption,
    Json,
    RunArgument,
    VariantOption,
    Verbose,
    WidthOption,
    examples,
)

if TYPE_CHECKING:
    from model.evaluation import EvaluationReport
    from model.prediction import PredictionReport


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the root command."""
    app.command(epilog=examples("alexnet evaluate runs/first"))(evaluate)
    app.command(
        epilog=examples(
            "alexnet predict runs/first photo.jpg",
            "alexnet predict runs/first test/ --csv submission.csv",
        )
    )(predict)
    app.command(epilog=examples("alexnet plot runs/first"))(plot)
    app.command(epilog=examples("alexnet summary --variant paper --classes 1000"))(
        summary
    )


def evaluate(
    run: RunArgument,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="Default: what the run was trained on."),
    ] = None,
    split: Annotated[
        Literal["train", "validation", "all"], typer.Option(help="Which examples.")
    ] = "validation",
    checkpoint: CheckpointOption = "last",
    batch_size: Annotated[int, typer.Option(min=1, help="Changes no figure.")] = 128,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say how good a run's network is: loss, top-1, top-5, every class, confusion."""
    from model.evaluation import evaluate as run_evaluation
    from model.plots import plot_confusion
    from model.run import RunFolder

    with meter("evaluating", "images") as shown:
        report = run_evaluation(
            RunFolder(run), data, split, checkpoint, batch_size, shown.show
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print_evaluation(report)
    picture = run / f"confusion-{split}.png"
    plot_confusion(report, picture)
    say(f"confusion matrix drawn: {picture}")


def _print_evaluation(report: EvaluationReport) -> None:
    top5 = "" if report.top5 is None else f", top-5 {report.top5:.2%}"
    title = (
        f"{report.split}, {report.num_examples:,} examples, epoch {report.epoch}:"
        f" loss {report.loss:.4f}, top-1 {report.top1:.2%}{top5}"
    )
    rows = [
        [one.name, *(f"{x:.4f}" for x in (one.precision, one.recall, one.f1)), count]
        for one in report.per_class
        for count in [f"{one.num_examples:,}"]
    ]
    columns = ["class", "precision", "recall", "F1", "examples"]
    print_table(title, columns, rows)
    names = list(report.class_names)
    counts = [
        [name, *map(str, row)]
        for name, row in zip(names, report.confusion.tolist(), strict=True)
    ]
    if len(names) <= 12:
        print_table("rows: true, columns: predicted", ["", *names], counts)


def predict(
    run: RunArgument,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Files, folders, patterns."),
    ],
    top_k: Annotated[int, typer.Option(min=1, help="Classes to show.")] = 5,
    csv: Annotated[
        Path | None, typer.Option(help="Also write Kaggle's submission form here.")
    ] = None,
    checkpoint: CheckpointOption = "last",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say what is on images; those that cannot be read are named, the rest is done."""
    from model.prediction import predict as run_prediction
    from model.run import RunFolder

    with meter("predicting", "images") as shown:
        report = run_prediction(RunFolder(run), images, checkpoint, shown.show)
    if csv:
        report.save_csv(csv)
        say(f"{len(report.predictions) - len(report.failed)} lines written: {csv}")
    if as_json:
        print_json(report.to_json())
    else:
        _print_predictions(report, top_k)
    for one in report.failed:
        say(f"{one.image}: {one.error}")
    if report.failed:
        say(f"{len(report.failed)} of {len(report.predictions)} images failed")
        raise typer.Exit(1)


def _print_predictions(report: PredictionReport, top_k: int) -> None:
    for one in report.predictions:
        if one.error is None:
            ranked = sorted(
                zip(one.probabilities, report.class_names, strict=True), reverse=True
            )
            said = ", ".join(f"{name} {p:.1%}" for p, name in ranked[:top_k])
            print(f"{one.image}: {said}")


def plot(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="Where pictures go. Default: the run folder.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Draw curves, first-layer filters, confusion and the most confident mistakes."""
    from model.plots import plot_run
    from model.run import RunFolder

    drawn = plot_run(RunFolder(run), out or run)
    if as_json:
        print_json({"run": str(run), "pictures": [str(path) for path in drawn]})
    else:
        for path in drawn:
            say(f"drawn: {path}")


def summary(
    variant: VariantOption = "article",
    classes: Annotated[int, typer.Option(help="How many classes.")] = 2,
    image_size: ImageSizeOption = 227,
    width: WidthOption = 1.0,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print a network's layers and parameters."""
    from model.alexnet import build_network
    from model.config import NetworkConfig
    from model.summary import summarize

    config = NetworkConfig(variant, classes, image_size, width)
    found = summarize(build_network(config), config)
    if as_json:
        print_json(found.to_json())
        return
    rows = [
        [one.name, one.type, " x ".join(map(str, one.output_shape)), count]
        for one in found.layers
        for count in [f"{one.parameters:,}"]
    ]
    title = f"{variant}, {classes} classes, {image_size} px"
    print_table(title, ["layer", "type", "output", "parameters"], rows)
    print(
        f"parameters: {found.parameters:,} ({found.trainable_parameters:,} trainable)"
    )
