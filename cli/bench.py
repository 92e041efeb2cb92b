"""`alexnet bench ...`: measure, name what limits, say what to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.benchmarks.config import NETWORK, TRAIN, BenchConfig, Loader
from alexnet.cli.console import meter, print_json, say
from alexnet.cli.ladder import print_changes, print_ladder, print_train_step
from alexnet.cli.options import (
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
    parse_size,
)

if TYPE_CHECKING:
    from alexnet.benchmarks.input_pipeline.compare import Figures
    from alexnet.benchmarks.input_pipeline.device_stages import DeviceStage
    from alexnet.benchmarks.input_pipeline.report import BenchReport

DEFAULTS = BenchConfig()

app = typer.Typer(
    help="Measure where the time goes.",
    epilog=examples(
        "alexnet bench input-pipeline records",
        "alexnet bench train-step --mixed-precision",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def bench() -> None:
    """Measure where the time goes."""


@app.command(
    epilog=examples(
        "alexnet bench input-pipeline records",
        "alexnet bench input-pipeline records --against article --against plain",
        "alexnet bench input-pipeline records --compare old.json --fail-below 0.9",
        "alexnet bench input-pipeline records --fail-below-share 0.7",
    )
)
def input_pipeline(
    data: DataArgument = Path("records"),
    seconds: Annotated[
        float, typer.Option(help="Seconds for each rung, after a warm-up of half that.")
    ] = DEFAULTS.seconds,
    batch_size: Annotated[int, typer.Option(help="Images in a batch.")] = (
        DEFAULTS.batch_size
    ),
    augment: AugmentOption = DEFAULTS.augment,  # type: ignore[assignment]
    image_size: ImageSizeOption = DEFAULTS.image_size,
    train_step: Annotated[
        bool, typer.Option(help="Time a training step as the last rung.")
    ] = True,
    mixed_precision: MixedPrecisionOption = TRAIN.mixed_precision,
    against: Annotated[
        list[Loader],
        typer.Option(help="Time another loader too, in turn; may be repeated."),
    ] = [],  # noqa: B006  # typer's way to say none
    reader: ReaderOption = DEFAULTS.reader,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the ladder as a PNG.")
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="OLD.json", help="Compare with an older --json report."),
    ] = None,
    fail_below: Annotated[
        float | None,
        typer.Option(min=0, help="Exit 1 below this share of the older images/s."),
    ] = None,
    fail_below_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Exit 1 below this share of the limit: of the last stage before the"
            " device that has one (column `of its limit`).",
        ),
    ] = None,
    ram_budget: RamBudgetOption = "4GiB",
    seed: Annotated[int, typer.Option(help="Seed of the order.")] = DEFAULTS.seed,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Time every stage of the pipeline that `fit` uses, and its limits.

    A rung is the pipeline up to a stage; the bottleneck is the stage that costs most.
    """
    if fail_below is not None and compare is None:
        raise typer.BadParameter("--fail-below needs --compare with an older report")
    if plot is not None and not plot.parent.is_dir():
        raise typer.BadParameter(f"--plot {plot}: no such folder: {plot.parent}")
    # After the checks of usage: TensorFlow, which these bring, takes seconds.
    from alexnet.benchmarks.input_pipeline import compare as comparison
    from alexnet.benchmarks.input_pipeline.input_pipeline import run_bench

    config = BenchConfig(
        seconds=seconds,
        batch_size=batch_size,
        against=tuple(loader.value for loader in against),
        augment=augment,
        image_size=image_size,
        seed=seed,
        ram_budget_bytes=parse_size(ram_budget),
        reader=reader,
    )
    old = comparison.load_figures(compare) if compare else None
    step = _make_step(data, config, mixed_precision) if train_step else None
    if old:
        _require_comparable(old, data, config)
    with meter("measuring", "timings") as progress:
        report = run_bench(data, config, progress.announce, step)
    new = comparison.figures(report.to_json())
    _show(report, old, new, plot, as_json)
    if old and fail_below is not None:
        comparison.require_no_slower(comparison.changes(old, new), fail_below)
    if fail_below_share is not None:
        comparison.require_share(new, fail_below_share)


def _make_step(data: Path, config: BenchConfig, mixed_precision: bool) -> DeviceStage:
    """A training step on the record set's batches, in the precision it computes in."""
    from alexnet.model.config import TrainConfig
    from alexnet.model.training.training import make_train_step

    settings = TrainConfig(
        batch_size=config.batch_size,
        augment=config.augment,
        mixed_precision=mixed_precision,
    )
    return make_train_step(data, settings, config.image_size)


def _require_comparable(old: Figures, data: Path, config: BenchConfig) -> None:
    """Check that an older report was measured with these records and settings.

    The precision is known when the training step is there.
    """
    from alexnet.benchmarks.input_pipeline.compare import require_comparable
    from alexnet.benchmarks.input_pipeline.plan import settings_of
    from alexnet.pipeline.records.record_set import open_records

    require_comparable(old, settings_of(open_records(data), config))


def _show(
    report: BenchReport,
    old: Figures | None,
    new: Figures,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Draw and print the report, beside the older one's figures if there is one."""
    from alexnet.benchmarks.input_pipeline.compare import changes, other_circumstances

    if plot:
        from alexnet.benchmarks.input_pipeline.ladder_plot import draw_ladder

        draw_ladder(report, plot)
    changed = changes(old, new) if old else []
    if as_json:
        compared = {"compare": [change.to_json() for change in changed]} if old else {}
        print_json(report.to_json() | compared)
        return
    print_ladder(report)
    print_changes(changed)
    for difference in other_circumstances(old, new) if old else []:
        say(f"note: {difference}")


@app.command(
    epilog=examples(
        "alexnet bench train-step --mixed-precision",
        "alexnet bench train-step --variant paper --classes 1000 --no-xla --json",
    )
)
def train_step(
    variant: VariantOption = NETWORK.variant,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = (
        TRAIN.batch_size
    ),
    image_size: ImageSizeOption = NETWORK.image_size,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = (
        NETWORK.num_classes
    ),
    width: WidthOption = NETWORK.width,
    mixed_precision: MixedPrecisionOption = TRAIN.mixed_precision,
    xla: XlaOption = TRAIN.xla,
    augment: AugmentOption = TRAIN.augment,  # type: ignore[assignment]
    seconds: Annotated[
        float,
        typer.Option(help="Seconds for each timing, after a warm-up of half that."),
    ] = DEFAULTS.seconds,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Time the training step alone, on noise that one device holds already.

    Beside it stand its augmentation and a product of large matrices, the limit of what
    the device computes in that precision.
    """
    from alexnet.benchmarks.train_step import TrainStepConfig, run_train_step

    config = TrainStepConfig(
        seconds=seconds,
        variant=variant,
        batch_size=batch_size,
        image_size=image_size,
        num_classes=classes,
        width=width,
        augment=augment,
        mixed_precision=mixed_precision,
        xla=xla,
    )
    with meter("measuring", "timings") as progress:
        report = run_train_step(config, progress.announce)
    if as_json:
        print_json(report.to_json())
    else:
        print_train_step(report)
