"""`alexnet fit`: train, and show how it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from alexnet.cli.console import Meter, print_json, say
from alexnet.cli.fit_messages import FitProgress, say_report
from alexnet.cli.options import (
    TAKES_URLS,
    ConfigOption,
    DataServiceOption,
    Json,
    Place,
    RecipeOption,
    Verbose,
    examples,
    given,
    takes_several,
)
from alexnet.cli.settings import takes_settings
from alexnet.model.config import CHECKPOINT_MINUTES, NetworkConfig, TrainConfig

app = typer.Typer()


@app.command(
    cls=takes_several("--freeze"),
    epilog=examples(
        "alexnet fit --mixed-precision",
        "alexnet fit records --variant paper --epochs 30 --run runs/paper",
        "alexnet fit --run runs/paper --resume",
        "alexnet fit --recipe article --epochs 30",
        "alexnet fit --network my_package.networks:build --image-size 224",
        "alexnet fit s3://bucket/records --cache /nvme --cache-limit 200GiB",
        "alexnet fit --data-service localhost:5050",
        "alexnet fit others --init-from runs/paper --freeze conv1 conv2",
    ),
)
@takes_settings(NetworkConfig, TrainConfig)
def fit(
    context: typer.Context,
    data: Annotated[
        Place,
        typer.Argument(
            metavar="DATA",
            help="Record set that `records build` made, or photos: a folder of them, a"
            " zip, or a CSV that names them; or the URL of any of these.",
            **TAKES_URLS,
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
    data_service: DataServiceOption = None,
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
    from alexnet.model.results.plots import plot_curves
    from alexnet.model.training.fit import fit as run_fit

    if resume and overwrite:
        raise typer.BadParameter("--resume goes on, --overwrite deletes: choose one")
    if resume and run is None:
        raise typer.BadParameter("--resume needs --run, the folder of the run")
    typed = given(context)
    with Meter("training", "steps") as meter:
        progress = FitProgress(meter, verbose)
        try:
            report = run_fit(
                data if "data" in typed or not resume else None,
                run=run,
                recipe=recipe,
                config=config,
                resume=resume,
                overwrite=overwrite,
                checkpoint_minutes=checkpoint_minutes,
                data_service=data_service,
                progress=progress,
                **{name: value for name, value in settings.items() if name in typed},
            )
        except KeyboardInterrupt as interrupt:
            raise type(interrupt)(progress.interrupted) from None
    if progress.first is None and report.history:
        say(f"{report.run} is finished already: nothing was left to train")
    if progress.is_chief and report.history:
        plot_curves(report.history, report.run / "curves.png")
    say_report(report)
    if as_json:
        print_json(report.to_json())
