"""What a run leaves to look at: pictures, and its network's layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.console import meter, print_json, print_table, say
from alexnet.cli.options import (
    CheckpointOption,
    ImageSizeOption,
    Json,
    RunArgument,
    VariantOption,
    Verbose,
    WidthOption,
    examples,
    given,
)


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the root command."""
    app.command(epilog=examples("alexnet plot runs/first"))(plot)
    app.command(
        epilog=examples(
            "alexnet summary --variant paper --classes 1000",
            "alexnet summary runs/first",
        )
    )(summary)


def plot(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="Where pictures go. Default: the run folder.")
    ] = None,
    checkpoint: CheckpointOption = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Draw curves, first-layer filters, confusion and the most confident mistakes."""
    from alexnet.model.results.plots import plot_run
    from alexnet.model.training.run import RunFolder

    with meter("evaluating", "images") as shown:
        drawn = plot_run(RunFolder(run), out or run, checkpoint, shown.show)
    if as_json:
        values = {"checkpoint": drawn.checkpoint, "epoch": drawn.epoch}
        pictures = [str(path) for path in drawn.paths]
        print_json({"run": str(run), **values, "pictures": pictures})
    else:
        for path in drawn.paths:
            say(f"drawn: {path}")
        say(f"{drawn.checkpoint} checkpoint, epoch {drawn.epoch}")


def summary(
    context: typer.Context,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run, whose network it is then."),
    ] = None,
    variant: VariantOption = "article",
    classes: Annotated[int, typer.Option(help="How many classes.")] = 2,
    image_size: ImageSizeOption = 227,
    width: WidthOption = 1.0,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print a network's layers and parameters, those of a run or of a variant."""
    from alexnet.model.config import NetworkConfig
    from alexnet.model.network.alexnet import build_network
    from alexnet.model.network.summary import summarize
    from alexnet.model.training.run import RunFolder

    if run is None:
        config = NetworkConfig(variant, classes, image_size, width)
    elif others := given(context, "run", "as_json", "verbose"):
        option = next(iter(others)).replace("_", "-")
        raise typer.BadParameter(f"--{option} is the run's own: leave it or RUN out")
    else:
        config = RunFolder(run).load_config().network
    found = summarize(build_network(config), config)
    if as_json:
        print_json(found.to_json())
        return
    rows = [
        [one.name, one.type, " x ".join(map(str, one.output_shape)), count]
        for one in found.layers
        for count in [f"{one.parameters:,}"]
    ]
    title = f"{config.variant}, {config.num_classes} classes, {config.image_size} px"
    print_table(title, ["layer", "type", "output", "parameters"], rows)
    print(
        f"parameters: {found.parameters:,} ({found.trainable_parameters:,} trainable)"
    )
