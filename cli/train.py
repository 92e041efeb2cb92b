"""`alexnet fit`: train, and show how it goes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.console import meter, print_json, say
from alexnet.cli.fit_messages import FitProgress, say_plan, say_report
from alexnet.cli.options import (
    AugmentOption,
    ImageSizeOption,
    Json,
    MixedPrecisionOption,
    RamBudgetOption,
    ReaderOption,
    VariantOption,
    Verbose,
    WidthOption,
    XlaOption,
    examples,
    given,
    parse_size,
)

if TYPE_CHECKING:
    from alexnet.model.training.plan import TrainPlan
    from alexnet.model.training.report import FitReport


def add_commands(app: typer.Typer) -> None:
    """Add `fit` to the root command."""
    app.command(
        epilog=examples(
            "alexnet fit --mixed-precision",
            "alexnet fit records --variant paper --epochs 30 --run runs/paper",
            "alexnet fit --run runs/paper --resume",
            "alexnet fit --augment article --optimizer sgd --schedule constant"
            " --learning-rate 0.001 --weight-decay 0 --batch-size 32",
        )
    )(fit)


def fit(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder that `records build` made, or photos: a folder of them, a"
            " zip, or a CSV that names them.",
        ),
    ] = Path("records"),
    run: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: runs/<date-time>.")
    ] = None,
    variant: VariantOption = "article",
    augment: AugmentOption = "paper",
    epochs: Annotated[int, typer.Option(help="Epochs of the whole run.")] = 20,
    batch_size: Annotated[
        int, typer.Option(help="Global batch, over all replicas.")
    ] = 128,
    image_size: ImageSizeOption = 227,
    width: WidthOption = 1.0,
    dropout: Annotated[float, typer.Option(help="Share dropped.")] = 0.5,
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 0.02,
    optimizer: Annotated[
        Literal["momentum", "sgd", "adam"],
        typer.Option(help="SGD with momentum 0.9, plain SGD, or Adam."),
    ] = "momentum",
    schedule: Annotated[
        Literal["cosine", "steps", "constant"],
        typer.Option(help="How the learning rate falls after its warm-up."),
    ] = "cosine",
    warmup_epochs: Annotated[
        float | None,
        typer.Option(
            help="Epochs to rise over. Default: 1, or a tenth of a short run."
        ),
    ] = None,
    decay_epochs: Annotated[
        int | None,
        typer.Option(help="Epochs until it has fallen. Default: --epochs."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="End the run so many epochs after its best validation."),
    ] = None,
    weight_decay: Annotated[
        float, typer.Option(help="Decoupled: weights shrink by rate x this a step.")
    ] = 0.005,
    loss: Annotated[
        Literal["sparse", "one-hot"],
        typer.Option(help="Cross-entropy of class numbers or of one-hot labels."),
    ] = "sparse",
    mixed_precision: MixedPrecisionOption = False,
    xla: XlaOption = None,
    strategy: Annotated[
        Literal["auto", "none", "mirrored", "multi-worker"],
        typer.Option(help="tf.distribute strategy; auto takes all GPUs."),
    ] = "auto",
    logical_cpus: Annotated[
        int | None, typer.Option(help="Split the CPU, to try a strategy without GPUs.")
    ] = None,
    steps_per_execution: Annotated[
        int, typer.Option(help="Steps between returns to Python.")
    ] = 1,
    reader: ReaderOption = "auto",
    ram_budget: RamBudgetOption = "4GiB",
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 21,
    checkpoint_minutes: Annotated[
        float, typer.Option(help="Between saved states, besides every epoch's.")
    ] = 10.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the run in --run first.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train an AlexNet on a record set, or on photos as they are.

    The run folder holds settings, checkpoints, history, TensorBoard logs and curves.
    A resumed run takes its own settings where none are given.
    """
    from alexnet.model.training.plan import plan_training
    from alexnet.model.training.run import RunFolder, new_run

    if resume and overwrite:
        raise typer.BadParameter("--resume goes on, --overwrite deletes: choose one")
    if resume and run is None:
        raise typer.BadParameter("--resume needs --run, the folder of the run")
    settings = given(
        context,
        "data",
        "run",
        "resume",
        "overwrite",
        "as_json",
        "verbose",
        "ram_budget",
        "checkpoint_minutes",
    )
    if "ram_budget" in given(context):
        settings["ram_budget_bytes"] = parse_size(ram_budget)
    records = data if "data" in given(context) or not resume else None
    with nullcontext(RunFolder(run)) if run else new_run() as folder:
        plan = plan_training(
            records,
            folder,
            settings,
            resume=resume,
            overwrite=overwrite,
            checkpoint_minutes=checkpoint_minutes,
        )
        report = _run_plan(plan, verbose)
    say_report(report)
    if as_json:
        print_json(report.to_json())


def _run_plan(plan: TrainPlan, verbose: bool) -> FitReport:
    from alexnet.model.results.plots import plot_curves
    from alexnet.model.training.hardware import set_up_hardware
    from alexnet.model.training.training import train

    hardware = set_up_hardware(plan.config.train)
    say_plan(plan, hardware, verbose)
    try:
        with meter("training", "steps") as shown:
            progress = FitProgress(shown)
            report = train(plan, hardware, progress)
    except KeyboardInterrupt as interrupt:
        told = "interrupted before the run had begun"
        if plan.run.exists():
            told = "interrupted: what was trained is kept; go on with"
            told += f" `{plan.run.resume_command}`"
        raise type(interrupt)(told) from None
    if progress.first is None:
        say(f"{plan.run.path} is finished already: nothing was left to train")
    if hardware.is_chief:
        plot_curves(report.history, plan.run.path / "curves.png")
    return report
