"""`alexnet bench ...`: measure, name what limits, say what to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.console import meter, print_json, print_table, say
from cli.options import DataArgument, Json, Verbose, examples, parse_size

if TYPE_CHECKING:
    from benchmarks.input_pipeline import BenchReport

app = typer.Typer(
    help="Measure where the time goes.",
    epilog=examples("alexnet bench input-pipeline records"),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def bench() -> None:
    """Measure where the time goes."""


@app.command(
    epilog=examples(
        "alexnet bench input-pipeline records",
        "alexnet bench input-pipeline records --against article --json",
    )
)
def input_pipeline(
    data: DataArgument = Path("records"),
    seconds: Annotated[
        float, typer.Option(help="For each rung, after a warm-up.")
    ] = 5.0,
    batch_size: Annotated[int, typer.Option(help="Images a batch.")] = 128,
    augment: Annotated[
        Literal["article", "paper", "modern", "none"],
        typer.Option(help="The augmentation rung's preset."),
    ] = "paper",
    image_size: Annotated[int, typer.Option(help="Side the network takes.")] = 227,
    train_step: Annotated[
        bool, typer.Option(help="Whether to time a training step on top.")
    ] = True,
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="The training step's precision.")
    ] = False,
    against: Annotated[
        Literal["article"] | None,
        typer.Option(help="Also time the article's ImageDataGenerator."),
    ] = None,
    ram_budget: Annotated[
        str, typer.Option(metavar="SIZE", help="What the input pipeline may hold.")
    ] = "4GiB",
    seed: Annotated[int, typer.Option(help="Decides the order.")] = 21,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Time every stage of the pipeline that `fit` uses, and its limits.

    A rung is the pipeline up to a stage; the bottleneck is the stage that costs most.
    """
    from benchmarks.input_pipeline import BenchConfig, run_bench
    from model.config import TrainConfig
    from model.training import make_train_step

    config = BenchConfig(
        seconds=seconds,
        batch_size=batch_size,
        against=against,
        augment=augment,
        image_size=image_size,
        seed=seed,
        ram_budget_bytes=parse_size(ram_budget),
    )
    step = None
    if train_step:
        settings = TrainConfig(
            batch_size=batch_size, augment=augment, mixed_precision=mixed_precision
        )
        step = make_train_step(data, settings, image_size)
    with meter("measuring", "timings") as shown:
        report = run_bench(
            data,
            config,
            lambda name, done, total: shown.show(done, total, name),
            step,
        )
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)


def _print_report(report: BenchReport) -> None:
    from benchmarks.ladder import added_microseconds

    added = added_microseconds(report.rungs)
    rows = [
        [
            rung.stage,
            f"{rung.images_per_second:,.0f}",
            f"{rung.spread:.0%}",
            f"{cost:+,.0f}",
        ]
        for rung, cost in zip(report.rungs, added, strict=True)
    ]
    title = (
        f"{report.data}: {report.storage}, reader {report.reader}, batch"
        f" {report.batch_size}, {report.num_cpus} CPUs"
    )
    print_table(title, ["up to", "images/s", "spread", "added us/image"], rows)
    others = {**report.limits, **report.against}
    beside = [[name, f"{rate:,.0f}"] for name, rate in others.items()]
    print_table("limits and peers", ["", "images/s"], beside)
    print(f"bottleneck: {report.bottleneck}\n{report.advice}")
    for note in report.notes:
        say(f"note: {note}")
