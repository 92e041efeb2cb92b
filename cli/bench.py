"""`alexnet bench ...`: measure, name what limits, say what to change."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.ladder import print_changes, print_ladder, print_train_step
from alexnet.cli.options import DataArgument, Json, Verbose, command_group, examples
from alexnet.cli.settings import takes_settings
from alexnet.model.config import NETWORK, NetworkConfig, TrainConfig

if TYPE_CHECKING:
    from alexnet.benchmarks.input_pipeline.compare import Figures
    from alexnet.benchmarks.input_pipeline.input_pipeline import BenchConfig


class Rival(str, Enum):
    """What `--against` takes; of a Literal's values typer makes no list."""

    ARTICLE = "article"
    PLAIN = "plain"
    TORCH_PILLOW = "torch-pillow"
    TORCH_SIMPLEJPEG = "torch-simplejpeg"
    FFCV_JPEG = "ffcv-jpeg"
    FFCV_RAW = "ffcv-raw"
    DALI = "dali"
    GRAIN = "grain"
    MOSAIC = "mosaic"


# What changes how fast the pipeline, or the training step, is.
SHARED = ("augment", "batch_size", "image_size", "mixed_precision")
PIPELINE_SETTINGS = (*SHARED, "reader", "ram_budget_bytes", "seed")
STEP_SETTINGS = (*SHARED, "variant", "width", "xla")

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
        list[Rival],
        typer.Option(help="Time another loader in turn, too; may be repeated."),
    ] = [],  # noqa: B006  # typer's way to say none
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
    from alexnet.benchmarks.input_pipeline.compare import (
        changes,
        figures,
        load_figures,
        other_circumstances,
        require_no_slower,
        require_share,
    )
    from alexnet.benchmarks.input_pipeline.input_pipeline import BenchConfig, run_bench
    from alexnet.model.training.training import make_train_step

    if fail_below is not None and compare is None:
        raise typer.BadParameter("--fail-below needs --compare with an older report")
    if plot is not None and not plot.parent.is_dir():
        raise typer.BadParameter(f"--plot {plot}: no such folder: {plot.parent}")
    mixed_precision = settings.pop("mixed_precision")
    config = BenchConfig(
        seconds=seconds, against=tuple(rival.value for rival in against), **settings
    )
    old = load_figures(compare) if compare else None
    step = None
    if train_step:
        train = TrainConfig(
            batch_size=config.batch_size,
            augment=config.augment,
            mixed_precision=mixed_precision,
        )
        step = make_train_step(data, train, config.image_size)
    if old:
        _require_comparable(old, data, config)
    with Meter("measuring", "timings") as meter:
        report = run_bench(data, config, meter.announce, step)
    if plot:
        from alexnet.benchmarks.input_pipeline.ladder_plot import draw_ladder

        draw_ladder(report, plot)
    values = report.to_json()
    new = figures(values)
    found = changes(old, new) if old else []
    if as_json:
        compared = {"compare": [change.to_json() for change in found]} if old else {}
        print_json(values | compared)
    else:
        print_ladder(report)
        print_changes(found)
        for difference in other_circumstances(old, new) if old else []:
            say(f"note: {difference}")
    if fail_below is not None:
        require_no_slower(found, fail_below)
    if fail_below_share is not None:
        require_share(new, fail_below_share)


def _require_comparable(old: Figures, data: Path, config: BenchConfig) -> None:
    """Check that an older report was measured with these records and settings.

    The precision is known when the training step is there.
    """
    from alexnet.benchmarks.input_pipeline.compare import require_comparable
    from alexnet.benchmarks.input_pipeline.plan import settings_of
    from alexnet.pipeline.read.opened_records import open_records

    require_comparable(old, settings_of(open_records(data), config))


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

    config = TrainStepConfig(seconds=seconds, num_classes=classes, **settings)
    with Meter("measuring", "timings") as meter:
        report = run_train_step(config, meter.announce)
    if as_json:
        print_json(report.to_json())
    else:
        print_train_step(report)
