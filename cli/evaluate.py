"""`alexnet evaluate`: the figures of a run's network on labelled examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.console import Meter, print_json, print_table, say
from alexnet.cli.options import (
    TAKES_URLS,
    CheckpointOption,
    DataServiceOption,
    Json,
    Place,
    RunArgument,
    Verbose,
    examples,
)
from alexnet.pipeline.config import READ, Tta

if TYPE_CHECKING:
    from alexnet.model.results.evaluation import EvaluationReport
    from alexnet.model.results.scores import Scores

# Classes with a row of their own, and with a column in the matrix, on the screen.
MOST_ROWS, MOST_COLUMNS = 40, 12


app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet evaluate runs/first",
        "alexnet evaluate runs/first other-records --split test",
        "alexnet evaluate runs/first --tta ten-crop",
    )
)
def evaluate(
    run: RunArgument,
    data: Annotated[
        Place | None,
        typer.Argument(
            metavar="DATA",
            help="Record set or photos, or their URL. Default: what the run was trained"
            " on.",
            **TAKES_URLS,
        ),
    ] = None,
    split: Annotated[
        Literal["validation", "train", "test", "all"] | None,
        typer.Option(
            help="Split to evaluate. Default: validation; all where DATA is another set"
            " than the run's."
        ),
    ] = None,
    checkpoint: CheckpointOption = "best",
    tta: Annotated[
        Tta,
        typer.Option(
            help="Views of a picture whose probabilities are averaged: itself and its"
            " mirror image, or ten crops."
        ),
    ] = "none",
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images in a batch; no result depends on it.")
    ] = READ.batch_size,
    data_service: DataServiceOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the picture. Default: the run folder."),
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the confusion as CSV, too: true class, predicted class, count.",
        ),
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Measure a run's network: loss, top-1, top-5, every class, confusion."""
    from alexnet.model.results.evaluation import evaluate as run_evaluation

    with Meter("evaluating", "images") as meter:
        report = run_evaluation(
            run,
            data,
            split=split,
            checkpoint=checkpoint,
            tta=tta,
            batch_size=batch_size,
            data_service=data_service,
            progress=meter.show,
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    if confusion:
        report.scores.save_confusion(confusion)
        say(f"confusion written: {confusion}")
    elif reason := report.scores.why_no_matrix():
        say(reason)
    _draw(report, run, out)


def _print_report(report: EvaluationReport) -> None:
    scores = report.scores
    top5 = "" if scores.top5 is None else f", top-5 {scores.top5:.2%}"
    views = "" if report.tta == "none" else f", {report.tta}"
    title = (
        f"{report.split}, {scores.num_examples:,} examples, {report.checkpoint}"
        f" checkpoint, epoch {report.epoch}{views}:"
        f" loss {scores.loss:.4f}, top-1 {scores.top1:.2%}{top5}"
    )
    _print_classes(title, scores)
    names = list(scores.class_names)
    if len(names) <= MOST_COLUMNS:
        rows = zip(names, scores.confusion().tolist(), strict=True)
        counts = [[name, *map(str, row)] for name, row in rows]
        print_table("rows: true, columns: predicted", ["", *names], counts)
    if report.note:
        print(f"{report.split}: {report.note}")


def _print_classes(title: str, scores: Scores) -> None:
    """Print a row for each class, or for those with the lowest F1."""
    classes = scores.per_class()
    if len(classes) > MOST_ROWS:
        seen = [scored for scored in classes if scored.num_examples]
        classes = sorted(seen, key=lambda scored: scored.f1)[:MOST_ROWS]
    rows = [
        [
            scored.name,
            *(f"{x:.4f}" for x in (scored.precision, scored.recall, scored.f1)),
            f"{scored.num_examples:,}",
        ]
        for scored in classes
    ]
    print_table(title, ["class", "precision", "recall", "F1", "examples"], rows)
    if len(classes) < len(scores.class_names):
        print(
            f"the {len(classes)} of {len(scores.class_names):,} classes with the lowest"
            " F1; --json has all of them"
        )


def _draw(report: EvaluationReport, run: Path, out: Path | None) -> None:
    """Draw the confusion matrix; a run folder that cannot be written is no failure.

    Raises:
        OSError: a folder that was asked for cannot be written.
    """
    from alexnet.model.results.plots import plot_confusion

    try:
        if out:
            out.mkdir(parents=True, exist_ok=True)
        picture = plot_confusion(report.scores, report.split, out or run)
    except OSError as error:
        if out:
            raise
        say(
            f"confusion not drawn: {run}: {error.strerror}; --out DIR puts it elsewhere"
        )
    else:
        say(f"confusion drawn: {picture}")
