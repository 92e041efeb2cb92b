"""`alexnet fit`: train, and show how it goes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.fit_messages import FitProgress, say_plan, say_report
from alexnet.cli.options import (
    ConfigOption,
    Json,
    RecipeOption,
    Verbose,
    examples,
    given,
)
from alexnet.cli.settings import takes_settings
from alexnet.model.config import CHECKPOINT_MINUTES, NetworkConfig, TrainConfig
from alexnet.model.recipe import gather_settings

if TYPE_CHECKING:
    from alexnet.model.training.plan import TrainPlan
    from alexnet.model.training.report import FitReport


app = typer.Typer()


@app.command(
    epilog=examples(
        "alexnet fit --mixed-precision",
        "alexnet fit records --variant paper --epochs 30 --run runs/paper",
        "alexnet fit --run runs/paper --resume",
        "alexnet fit --recipe article --epochs 30",
    )
)
@takes_settings(NetworkConfig, TrainConfig)
def fit(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Record set that `records build` made, or photos: a folder of them,"
            " a zip, or a CSV that names them.",
        ),
    ] = Path("records"),
    run: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/<date-time>.")
    ] = None,
    recipe: RecipeOption = None,
    config: ConfigOption = None,
    checkpoint_minutes: Annotated[
        float,
        typer.Option(help="Minutes between saved states, besides every epoch's."),
    ] = CHECKPOINT_MINUTES,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the run in --run first.")
    ] = False,
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
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
    typed = given(context)
    settings = {name: value for name, value in settings.items() if name in typed}
    with nullcontext(RunFolder(run)) if run else new_run() as folder:
        plan = plan_training(
            data if "data" in typed or not resume else None,
            folder,
            gather_settings(recipe, config, settings),
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
        with Meter("training", "steps") as meter:
            progress = FitProgress(meter)
            report = train(plan, hardware, progress)
    except KeyboardInterrupt as interrupt:
        message = "interrupted before the run had begun"
        if plan.run.exists():
            message = (
                "interrupted: what was trained is kept; go on with"
                f" `{plan.run.resume_command}`"
            )
        raise type(interrupt)(message) from None
    if progress.first is None:
        say(f"{plan.run.path} is finished already: nothing was left to train")
    if hardware.is_chief:
        plot_curves(report.history, plan.run.path / "curves.png")
    return report
