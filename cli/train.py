"""`alexnet fit`: train, and show how it goes."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.console import Meter, meter, print_json, say
from cli.options import (
    AugmentOption,
    DataArgument,
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
    from model.hardware import Hardware
    from model.history import EpochRecord
    from model.plan import TrainPlan
    from model.report import FitReport


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
    data: DataArgument = Path("records"),
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
        float, typer.Option(help="Epochs over which the learning rate rises.")
    ] = 1.0,
    decay_epochs: Annotated[
        int,
        typer.Option(help="Epochs over which it falls; --epochs where that is more."),
    ] = 20,
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
    """Train an AlexNet on a record set.

    The run folder holds settings, checkpoints, history, TensorBoard logs and curves.
    A resumed run takes its own settings where none are given.
    """
    from model.plan import plan_training
    from model.run import RunFolder, new_run_path

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
    folder = RunFolder(run or new_run_path())
    plan = plan_training(
        records,
        folder,
        settings,
        resume=resume,
        overwrite=overwrite,
        checkpoint_minutes=checkpoint_minutes,
    )
    report = _run_plan(plan, verbose)
    if as_json:
        print_json(report.to_json())
    else:
        _print_fit(report)


def _run_plan(plan: TrainPlan, verbose: bool) -> FitReport:
    from model.hardware import set_up_hardware
    from model.plots import plot_curves
    from model.training import train

    hardware = set_up_hardware(plan.config.train)
    _say_plan(plan, hardware, verbose)
    try:
        with meter("training", "steps") as shown:
            report = train(plan, hardware, FitProgress(shown))
    except KeyboardInterrupt as interrupt:
        told = "interrupted before the run had begun"
        if plan.run.exists():
            told = "interrupted: what was trained is kept; go on with"
            told += f" `{plan.run.resume_command}`"
        raise type(interrupt)(told) from None
    if hardware.is_chief:
        plot_curves(report.history, plan.run.path / "curves.png")
    return report


def _say_plan(plan: TrainPlan, hardware: Hardware, verbose: bool) -> None:
    config, splits = plan.config, plan.records.manifest.splits
    say(
        f"{config.data}: {splits['train'].num_examples:,} train and"
        f" {splits['validation'].num_examples:,} validation examples;"
        f" {plan.steps_per_epoch} steps of {config.train.batch_size} an epoch"
    )
    say(
        f"{config.network.variant} network, augmentation {config.train.augment};"
        f" {hardware.describe()}"
    )
    if verbose:
        say(f"reader {config.train.reader}: {config.reader_reason}")
    say(f"run folder {plan.run.path}")


class FitProgress:
    """Shows a training's steps on a Meter and a line an epoch."""

    def __init__(self, shown: Meter) -> None:
        self.shown = shown
        self.total = 0
        self.first: int | None = None

    def start(self, first_step: int, total_steps: int) -> None:
        """The run begins, or goes on, at `first_step`."""
        self.total = total_steps
        self.shown.show(first_step, total_steps)

    def step(self, step: int, logs: dict[str, float]) -> None:
        """A step has ended; the first one was spent on tracing and compiling."""
        if self.first is None:
            self.first = step
            self.shown.start_clock(step)
        note = f"loss {logs.get('loss', 0):.3f}, accuracy {logs.get('accuracy', 0):.3f}"
        self.shown.show(step, self.total, note)

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """An epoch has ended."""
        parts = [
            f"epoch {record.epoch}/{total_epochs}",
            f"loss {record.loss:.4f}, accuracy {record.accuracy:.4f}",
        ]
        if record.val_loss is not None:
            parts.append(f"validation {record.val_loss:.4f}, {record.val_accuracy:.4f}")
        parts.append(f"{record.images_per_second:,.0f} images/s")
        parts.append(f"{record.input_wait_share:.1%} waiting for input")
        if record.skipped_steps:
            parts.append(f"{record.skipped_steps} steps skipped: float16 overflowed")
        parts += [gpu] if gpu else []
        self.shown.write(" · ".join(parts))


def _print_fit(report: FitReport) -> None:
    lost = sum(e.seconds * e.input_wait_share for e in report.history)
    total = sum(epoch.seconds for epoch in report.history)
    say(
        f"epoch {report.last.epoch}, step {report.last.step:,}:"
        f" {report.images_per_second:,.0f} images/s. Of {total:,.0f} s of training,"
        f" {lost:,.1f} s ({report.input_wait_share:.1%}) were lost waiting for input."
    )
    run = quote(str(report.run))
    say(f"next: alexnet evaluate {run}   alexnet plot {run}")
