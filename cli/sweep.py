"""`alexnet sweep`: many runs that differ in a few settings, and which is best."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.console import Meter, print_json, print_table, say
from alexnet.cli.options import (
    ConfigOption,
    DataArgument,
    Json,
    RecipeOption,
    Verbose,
    examples,
    given,
    takes_several,
)
from alexnet.cli.settings import takes_settings
from alexnet.cli.vary import parse_space
from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.recipe import gather_settings
from alexnet.model.sweep.progress import SweepProgress
from alexnet.model.sweep.space import Sampler
from alexnet.pipeline.files import count

if TYPE_CHECKING:
    from alexnet.model.sweep.plan import SweepPlan
    from alexnet.model.sweep.report import SweepReport, TrialReport

# What a sweep that goes on may be given besides its folder.
ALSO_RESUMED = {"out", "resume", "jobs", "trials", "as_json", "verbose"}

app = typer.Typer()


@app.command(
    cls=takes_several("--freeze"),
    epilog=examples(
        "alexnet sweep --vary learning-rate=0.01,0.02,0.04 --vary seed=1,2,3",
        "alexnet sweep records --vary learning-rate=0.0001:0.003:log"
        " --vary batch-size=32,128 --trials 30 --recipe fast --out sweeps/rate",
        "alexnet sweep --out sweeps/rate --resume --jobs 2",
    ),
)
@takes_settings(NetworkConfig, TrainConfig)
def sweep(
    context: typer.Context,
    data: DataArgument = Path("records"),
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="Option of `fit` to vary, and its values: a list as in"
            " batch-size=32,128, or a range as in epochs=5:20 or"
            " learning-rate=0.0001:0.003:log. May be given several times.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            help="Number of trials to draw. Default: every combination of lists, or 20"
            " where a range is varied.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Trials at once; several get a GPU each.")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Sweep folder. Default: sweeps/<date-time>.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a sweep, or join it from elsewhere."),
    ] = False,
    sampler: Annotated[
        Sampler,
        typer.Option(help="Draw near what was good, or anywhere."),
    ] = "tpe",
    prune: Annotated[
        bool,
        typer.Option(help="End trials that fall behind the median of the others."),
    ] = True,
    recipe: RecipeOption = None,
    config: ConfigOption = None,
    as_json: Json = False,
    verbose: Verbose = False,
    **settings: Any,
) -> None:
    """Train with several settings, each trial a run of its own, and name the best.

    The other options are those of `fit`, for every trial. A sweep that was killed goes
    on with --resume; machines that share its folder join it in the same way.
    """
    from alexnet.model.sweep.plan import load_plan, plan_sweep
    from alexnet.model.sweep.study import require_optuna
    from alexnet.model.training.run import dated, new_folder

    typed = given(context)
    require_optuna()
    if resume:
        _require_only_resumed(typed)
        report = _run(load_plan(Path(str(out)), trials), jobs)
    else:
        space = parse_space(vary or [], context)
        given_settings = {k: v for k, v in settings.items() if k in typed}
        if twice := sorted(set(space) & set(given_settings)):
            option = twice[0].replace("_", "-")
            raise typer.BadParameter(f"--{option} is varied as well: leave one out")
        with nullcontext(out) if out else new_folder(dated(Path("sweeps"))) as folder:
            plan = plan_sweep(
                data,
                folder,
                space,
                gather_settings(recipe, config, given_settings),
                trials=trials,
                sampler=sampler,
                prune=prune,
            )
            report = _run(plan, jobs)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    if report.best is None:
        errors = [trial.error for trial in report.trials if trial.error]
        say(f"no trial has come to its end: {errors[0] if errors else 'all pruned'}")
        raise typer.Exit(1)


def _require_only_resumed(typed: set[str]) -> None:
    """Check that a sweep to go on with is named, and gets no other settings.

    Raises:
        typer.BadParameter: it is not, or it does.
    """
    if "out" not in typed:
        raise typer.BadParameter("--resume needs --out, the folder of the sweep")
    if others := sorted(typed - ALSO_RESUMED):
        name = others[0].replace("_", "-")
        option = "DATA" if name == "data" else f"--{name}"
        raise typer.BadParameter(
            f"--resume goes on with the sweep's own settings: leave {option} out"
        )


class MeteredProgress(SweepProgress):
    """Progress of a sweep: a line for each trial, and a Meter for all of them."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def ended(self, trial: TrialReport, num_ended: int, num_trials: int) -> None:
        """Print what came of a trial."""
        self.meter.write(_describe(trial))
        self.meter.show(num_ended, num_trials)

    def waiting(self, num_trials: int) -> None:
        """Print why nothing happens here."""
        left = count(num_trials, "trial")
        self.meter.write(f"waiting for other processes, which train {left}")


def _run(plan: SweepPlan, jobs: int) -> SweepReport:
    from alexnet.model.sweep.plots import plot_sweep
    from alexnet.model.sweep.sweep import run_sweep

    say(f"{count(plan.trials, 'trial')} in {plan.folder}")
    with Meter("sweep", "trials") as meter:
        try:
            report = run_sweep(plan, jobs, MeteredProgress(meter))
        except KeyboardInterrupt as interrupt:
            raise type(interrupt)(
                "interrupted: what was trained is kept; go on with"
                f" `{plan.resume_command}`"
            ) from None
    plot_sweep(report)
    return report


def _describe(trial: TrialReport) -> str:
    """Return a line on a trial that has ended."""
    values = ", ".join(f"{name} {value}" for name, value in trial.values.items())
    accuracy = "" if trial.accuracy is None else f" {trial.accuracy:.4f}"
    state = "" if trial.state == "complete" else f" {trial.state}"
    error = f": {trial.error}" if trial.error else ""
    return f"trial {trial.number}: {values}:{accuracy}{state}{error}"


def _print_report(report: SweepReport) -> None:
    """Print the trials from the best down, and how to train as the best one did."""
    names = list(report.plan.space)
    rows = [
        [
            str(trial.number),
            *(str(trial.values.get(name, "")) for name in names),
            f"{trial.best.val_accuracy:.4f}" if trial.best else "",
            str(trial.best.epoch) if trial.best else "",
            trial.state,
        ]
        for trial in report.ranked
    ]
    columns = ["trial", *names, "accuracy", "epoch", "state"]
    print_table(f"{report.plan.folder}, best first", columns, rows)
    if report.best:
        print(f"drawn: {report.plan.picture_path}")
        print(f"best: {report.best.run}; to train so again:\n{report.best_command}")
