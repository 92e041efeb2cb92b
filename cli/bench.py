"""`alexnet bench ...`: measure, name what limits, say what to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.benchmarks.config import BenchConfig, Loader
from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.ladder import print_changes, print_ladder, print_train_step
from alexnet.cli.options import (
    DataArgument,
    DataServiceOption,
    Json,
    Verbose,
    command_group,
    examples,
)
from alexnet.cli.quiet import start_xla_quietly
from alexnet.cli.settings import takes_settings
from alexnet.model.config import NETWORK, NetworkConfig, TrainConfig

if TYPE_CHECKING:
    from alexnet.benchmarks.input_pipeline.compare import Figures
    from alexnet.benchmarks.input_pipeline.device_stages import DeviceStage
    from alexnet.benchmarks.input_pipeline.report import BenchReport
    from alexnet.pipeline.remote.place import Place

# Settings that change the speed of the pipeline, or of the training step.
SHARED = ("augment", "batch_size", "image_size", "mixed_precision")
CACHE = ("cache", "cache_limit_bytes")
PIPELINE_SETTINGS = (*SHARED, "reader", "decode", "ram_budget_bytes", "seed", *CACHE)
STEP_SETTINGS = (*SHARED, "variant", "width", "network", "xla")

SecondsOption = Annotated[
    float, typer.Option(help="Seconds for each measurement, after a warm-up.")
]

app = command_group(
    "Measure where the time goes.",
    "alexnet bench input-pipeline records",
    "alexnet bench train-step --mixed-precision",
)


@app.command(
    epilog=examples(
        "alexnet bench input-pipeline records",
        "alexnet bench input-pipeline records --against article --against plain",
        "alexnet bench input-pipeline records --compare old.json --fail-below 0.9",
        "alexnet bench input-pipeline records --fail-below-share 0.7",
        "alexnet bench input-pipeline records --data-service localhost:5050",
    )
)
@takes_settings(NetworkConfig, TrainConfig, only=PIPELINE_SETTINGS)
def input_pipeline(
    data: DataArgument = Path("records"),
    seconds: SecondsOption = 5.0,
    train_step: Annotated[
        bool, typer.Option(help="Time a training step on top of the pipeline.")
    ] = True,
    against: Annotated[
        list[Loader],
        typer.Option(help="Time another loader in turn, too; may be repeated."),
    ] = [],  # noqa: B006  # typer's way to say none
    data_service: DataServiceOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the rungs into a PNG file."),
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
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
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
    from alexnet.model.training.hardware import enable_memory_growth

    mixed_precision = settings.pop("mixed_precision")
    settings["image_size"] = settings["image_size"] or NETWORK.image_size
    names = tuple(loader.value for loader in against)
    config = BenchConfig(
        seconds=seconds, against=names, data_service=data_service, **settings
    )
    old = comparison.load_figures(compare) if compare else None
    enable_memory_growth()
    start_xla_quietly()
    step = _make_step(data, config, mixed_precision) if train_step else None
    if old:
        _require_comparable(old, data, config)
    with Meter("measuring", "timings") as meter:
        report = run_bench(data, config, meter.announce, step)
    new = comparison.figures(report.to_json())
    _show(report, old, new, plot, as_json)
    if old and fail_below is not None:
        comparison.require_no_slower(comparison.changes(old, new), fail_below)
    if fail_below_share is not None:
        comparison.require_share(new, fail_below_share)


def _make_step(data: Place, config: BenchConfig, mixed_precision: bool) -> DeviceStage:
    """Return a training step on the record set's batches."""
    from alexnet.model.training.training import make_train_step

    train = TrainConfig(
        batch_size=config.batch_size,
        augment=config.augment,
        mixed_precision=mixed_precision,
        cache=config.cache,
        cache_limit_bytes=config.cache_limit_bytes,
    )
    return make_train_step(data, train, config.image_size)


def _require_comparable(old: Figures, data: Place, config: BenchConfig) -> None:
    """Check that an older report was measured with these records and settings.

    The precision is known when the training step is there.
    """
    from alexnet.benchmarks.input_pipeline.compare import require_comparable
    from alexnet.benchmarks.input_pipeline.plan import open_for_bench, settings_of

    require_comparable(old, settings_of(*open_for_bench(data, config)))


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
@takes_settings(NetworkConfig, TrainConfig, only=STEP_SETTINGS)
def train_step(
    classes: Annotated[
        int, typer.Option(help="Number of classes.")
    ] = NETWORK.num_classes,
    seconds: SecondsOption = 5.0,
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
) -> None:
    """Time the training step alone, on noise that one device holds already.

    Beside it stand its augmentation and a product of large matrices, the limit of what
    the device computes in that precision.
    """
    from alexnet.benchmarks.train_step import TrainStepConfig, run_train_step
    from alexnet.model.training.hardware import enable_memory_growth

    side = NetworkConfig(variant=settings["variant"]).image_size
    settings["image_size"] = settings["image_size"] or side
    config = TrainStepConfig(seconds=seconds, num_classes=classes, **settings)
    enable_memory_growth()
    start_xla_quietly()
    with Meter("measuring", "timings") as meter:
        report = run_train_step(config, meter.announce)
    if as_json:
        print_json(report.to_json())
    else:
        print_train_step(report)
