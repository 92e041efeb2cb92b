"""`alexnet runs`, `plot`, `summary`: runs side by side, pictures of one, its layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.console import Meter, print_json, print_table, say
from alexnet.cli.options import (
    CheckpointOption,
    Json,
    RunArgument,
    Verbose,
    examples,
    given,
)
from alexnet.cli.settings import takes_settings
from alexnet.model.config import NETWORK, NetworkConfig, RunOrder

if TYPE_CHECKING:
    from alexnet.model.results.run_list import ListedRun, RunList

app = typer.Typer()


@app.command(epilog=examples("alexnet runs", "alexnet runs sweeps/rate --sort speed"))
def runs(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of run folders, or of sweeps."),
    ] = Path("runs"),
    sort: Annotated[
        RunOrder,
        typer.Option(
            help="Sort by the best or last validation accuracy, by images/s or by name."
        ),
    ] = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List runs with what each has reached, and the settings in which they differ."""
    from alexnet.model.results.run_list import list_runs

    listed = list_runs(folder, sort)
    for path, reason in listed.passed_over.items():
        say(f"passed over: {path}: {reason}")
    if as_json:
        print_json(listed.to_json())
    else:
        _print_runs(folder, listed)


def _print_runs(folder: Path, listed: RunList) -> None:
    if not listed.runs:
        print(f"no runs in {folder}")
        return
    columns = [
        "run",
        "epochs done",
        "best (epoch)",
        "last (epoch)",
        "images/s",
        *listed.differing,
    ]
    rows = [
        [_name(run.run, folder), *_figures(run, listed.differing)]
        for run in listed.runs
    ]
    print_table(str(folder), columns, rows)


def _name(run: Path, folder: Path) -> str:
    """Return where in a folder a run is; of the folder itself, its name."""
    below = run.relative_to(folder)
    return str(below) if below.parts else folder.resolve().name


def _figures(run: ListedRun, settings: list[str]) -> list[str]:
    report = run.report
    figures = [
        f"{epoch.val_accuracy:.4f} ({epoch.epoch})"
        if epoch and epoch.val_accuracy is not None
        else ""
        for epoch in (report and report.best, report and report.last)
    ]
    speed = f"{report.images_per_second:,.0f}" if report else ""
    values = [run.settings.get(name) for name in settings]
    words = ["" if value is None else str(value) for value in values]
    return [str(len(run.history)), *figures, speed, *words]


@app.command(epilog=examples("alexnet plot runs/first"))
def plot(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the pictures. Default: the run folder."),
    ] = None,
    checkpoint: CheckpointOption = "best",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Draw curves, first-layer filters, confusion and the most confident mistakes."""
    from alexnet.model.results.plots import plot_run
    from alexnet.model.training.run import RunFolder

    with Meter("evaluating", "images") as meter:
        drawn = plot_run(RunFolder(run), out or run, checkpoint, meter.show)
    if as_json:
        values = {"checkpoint": drawn.checkpoint, "epoch": drawn.epoch}
        pictures = [str(path) for path in drawn.paths]
        print_json({"run": str(run), **values, "pictures": pictures})
    else:
        for path in drawn.paths:
            say(f"drawn: {path}")
        say(f"{drawn.checkpoint} checkpoint, epoch {drawn.epoch}")


@app.command(
    epilog=examples(
        "alexnet summary --variant paper --classes 1000",
        "alexnet summary runs/first",
    )
)
@takes_settings(NetworkConfig, only=("variant", "image_size", "width", "network"))
def summary(
    context: typer.Context,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="Run folder whose network to print."),
    ] = None,
    classes: Annotated[
        int, typer.Option(help="Number of classes.")
    ] = NETWORK.num_classes,
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
) -> None:
    """Print the layers and parameters of a variant, or of a run's network."""
    from alexnet.model.network.alexnet import build_network
    from alexnet.model.network.summary import summarize
    from alexnet.model.training.hardware import hide_gpus
    from alexnet.model.training.run import RunFolder
    from alexnet.model.training.run_network import build_run_network

    hide_gpus()
    if run is None:
        config = NetworkConfig(num_classes=classes, **settings)
        network = build_network(config)
    elif others := given(context) & {"classes", *settings}:
        option = min(others).replace("_", "-")
        raise typer.BadParameter(f"--{option} is the run's own: leave it or RUN out")
    else:
        config = RunFolder(run).load_config().network
        network = build_run_network(RunFolder(run))
    table = summarize(network, config)
    if as_json:
        print_json(table.to_json())
        return
    rows = [
        [layer.name, layer.type, " x ".join(map(str, layer.output_shape)), count]
        for layer in table.layers
        for count in [f"{layer.parameters:,}"]
    ]
    title = f"{config.name}, {config.num_classes} classes, {config.image_size} px"
    print_table(title, ["layer", "type", "output", "parameters"], rows)
    print(
        f"parameters: {table.parameters:,} ({table.trainable_parameters:,} trainable)"
    )
