"""`alexnet fit`, and what one does with a run: evaluate, predict, export, plot."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.console import Meter, meter, print_json, print_table, say
from cli.options import (
    CheckpointOption,
    DataArgument,
    Json,
    RunArgument,
    Verbose,
    examples,
    given,
    parse_size,
)

if TYPE_CHECKING:
    from model.evaluation import EvaluationReport
    from model.hardware import Hardware
    from model.plan import TrainPlan
    from model.prediction import PredictionReport
    from model.report import FitReport
    from model.run import EpochRecord

Variant = Literal["article", "paper", "bn"]


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the root command."""
    app.command(
        epilog=examples(
            "alexnet fit --mixed-precision",
            "alexnet fit records --variant paper --epochs 30 --run runs/paper",
            "alexnet fit --run runs/paper --resume",
            "alexnet fit --augment article --optimizer sgd --schedule constant"
            " --learning-rate 0.001 --weight-decay 0 --batch-size 32",
        )
    )(fit)
    app.command(epilog=examples("alexnet evaluate runs/first"))(evaluate)
    app.command(
        epilog=examples(
            "alexnet predict runs/first photo.jpg",
            "alexnet predict runs/first test/ --csv submission.csv",
        )
    )(predict)
    app.command(epilog=examples("alexnet export runs/first saved-model"))(export)
    app.command(epilog=examples("alexnet plot runs/first"))(plot)
    app.command(epilog=examples("alexnet summary --variant paper --classes 1000"))(
        summary
    )


def fit(
    context: typer.Context,
    data: DataArgument = Path("records"),
    run: Annotated[
        Path | None, typer.Option(help="The run's folder. Default: runs/<date-time>.")
    ] = None,
    variant: Annotated[Variant, typer.Option(help="Which AlexNet.")] = "article",
    augment: Annotated[
        Literal["article", "paper", "modern", "none"],
        typer.Option(help="How training images are changed at random."),
    ] = "paper",
    epochs: Annotated[int, typer.Option(help="Epochs of the whole run.")] = 20,
    batch_size: Annotated[
        int, typer.Option(help="Global batch, over all replicas.")
    ] = 128,
    image_size: Annotated[int, typer.Option(help="Side the network takes.")] = 227,
    width: Annotated[
        float, typer.Option(help="Channels and units, as a share of the paper's.")
    ] = 1.0,
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
    mixed_precision: Annotated[
        bool,
        typer.Option("--mixed-precision", help="float16 on a GPU, bfloat16 on a CPU."),
    ] = False,
    xla: Annotated[
        bool | None,
        typer.Option("--xla/--no-xla", help="Compile the step. Default: on GPUs."),
    ] = None,
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
    reader: Annotated[
        Literal["auto", "stream"], typer.Option(help="How shards are read.")
    ] = "auto",
    ram_budget: Annotated[
        str, typer.Option(metavar="SIZE", help="What the input pipeline may hold.")
    ] = "4GiB",
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 21,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the run in --run first.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train an AlexNet on a record set.

    The run folder holds settings, checkpoints, history, TensorBoard logs and curves.
    A resumed run takes its own settings where none are given.
    """
    from pipeline.errors import ConfigError

    if resume and fresh:
        raise ConfigError("--resume goes on with a run, --fresh deletes it: choose one")
    if resume and run is None:
        raise ConfigError("--resume needs --run: the folder of the run to go on with")
    settings = given(
        context, "data", "run", "resume", "fresh", "as_json", "verbose", "ram_budget"
    )
    if "ram_budget" in given(context):
        settings["ram_budget_bytes"] = parse_size(ram_budget)
    records = data if "data" in given(context) or not resume else None
    report = _run_fit(records, run, settings, resume, fresh)
    if as_json:
        print_json(report.to_json())
    else:
        _print_fit(report)


def _run_fit(
    data: Path | None,
    run_path: Path | None,
    settings: dict[str, Any],
    resume: bool,
    fresh: bool,
) -> FitReport:
    from model.hardware import set_up_hardware
    from model.plan import plan_training
    from model.plots import plot_curves
    from model.run import RunFolder, new_run_path
    from model.training import train

    run = RunFolder(run_path or new_run_path())
    plan = plan_training(data, run, settings, resume=resume, fresh=fresh)
    hardware = set_up_hardware(plan.config.train)
    _say_plan(plan, hardware)
    try:
        with meter("training", "steps") as shown:
            report = train(plan, hardware, FitProgress(shown))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted: finished epochs are kept; go on with"
            f" `alexnet fit --run {quote(str(run.path))} --resume`"
        ) from None
    if hardware.is_chief:
        plot_curves(report.history, run.path / "curves.png")
    return report


def _say_plan(plan: TrainPlan, hardware: Hardware) -> None:
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
        parts += [gpu] if gpu else []
        self.shown.write(" · ".join(parts))


def _print_fit(report: FitReport) -> None:
    lost = sum(e.seconds * e.input_wait_share for e in report.history)
    total = sum(epoch.seconds for epoch in report.history)
    say(
        f"{report.last.epoch} epochs, {report.last.step:,} steps,"
        f" {report.images_per_second:,.0f} images/s. Of {total:,.0f} s of training,"
        f" {lost:,.1f} s ({report.input_wait_share:.1%}) were lost waiting for input."
    )
    run = quote(str(report.run))
    say(f"next: alexnet evaluate {run}   alexnet plot {run}")


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
    picture = run / f"confusion-{split}.png"
    plot_confusion(report, picture)
    if as_json:
        print_json(report.to_json())
    else:
        _print_evaluation(report)
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


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder to make.")],
    checkpoint: CheckpointOption = "last",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a SavedModel: encoded images or pixels in, probabilities out."""
    from model.export import export as run_export
    from model.run import RunFolder

    run_export(RunFolder(run), out, checkpoint)
    if as_json:
        print_json({"run": str(run), "out": str(out)})
    else:
        say(f"{out}: signatures serving_default (image bytes) and pixels (uint8)")


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
    variant: Annotated[Variant, typer.Option(help="Which AlexNet.")] = "article",
    classes: Annotated[int, typer.Option(help="How many classes.")] = 2,
    image_size: Annotated[int, typer.Option(help="Side the network takes.")] = 227,
    width: Annotated[
        float, typer.Option(help="Channels and units, as a share of the paper's.")
    ] = 1.0,
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
