"""The plan of a sweep, kept in its folder: what is fixed, what varies and how."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join, quote
from typing import Any

from alexnet.model.command_line import option_words
from alexnet.model.config import TRAIN
from alexnet.model.recipe import OPTIONS
from alexnet.model.sweep.space import (
    Choices,
    Sampler,
    Space,
    check_space,
    combinations,
    extreme_settings,
    space_from_json,
    space_to_json,
)
from alexnet.pipeline.errors import AlexnetError, ConfigError, RunError
from alexnet.pipeline.files import require_local, write_json
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.setting import MAX_COUNT, require

FORMAT = 1
TRIALS = 20
# Errors of reading JSON that holds something else.
NOT_A_PLAN = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """The plan of a sweep, from which it can be executed or resumed."""

    folder: Path
    data: str
    # Of every trial; the varied ones override them.
    settings: dict[str, Any]
    space: Space
    trials: int
    # Every combination once, in order, instead of `trials` draws.
    is_grid: bool = False
    sampler: Sampler = "tpe"
    prune: bool = True

    def __post_init__(self) -> None:
        require_local(self.folder)
        needs = f"1 to {MAX_COUNT:,}"
        require(1 <= self.trials <= MAX_COUNT, "trials", self.trials, needs)

    @property
    def seed(self) -> int:
        """Seed of the draws, and of every trial that varies no seed."""
        return int(self.settings.get("seed", TRAIN.seed))

    @property
    def epochs(self) -> int:
        """Epochs of a trial that varies none."""
        return int(self.settings.get("epochs", TRAIN.epochs))

    @property
    def path(self) -> Path:
        """The file of the plan, JSON."""
        return self.folder / "sweep.json"

    @property
    def journal_path(self) -> Path:
        """The file where Optuna keeps the trials."""
        return self.folder / "journal.log"

    @property
    def logs_path(self) -> Path:
        """The folder of TensorBoard's logs of the sweep as a whole."""
        return self.folder / "logs"

    @property
    def picture_path(self) -> Path:
        """The plot of accuracy over each setting, and of the trials' curves."""
        return self.folder / "sweep.png"

    def run_path(self, number: int) -> Path:
        """Return the run folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    @property
    def resume_command(self) -> str:
        """The command that goes on with the sweep."""
        return f"alexnet sweep --out {quote(str(self.folder))} --resume"

    def fit_command(self, values: dict[str, Any]) -> str:
        """Return the command line that trains with a trial's values."""
        return join(["alexnet", "fit", self.data, *self.fit_options(values)])

    def fit_options(self, values: dict[str, Any]) -> list[str]:
        """Return the options of `alexnet fit` for a trial with these values."""
        return option_words({**self.settings, **values})

    def save(self) -> None:
        """Write the plan, which makes its folder a sweep's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = ("data", "settings", "trials", "is_grid", "sampler", "prune")
        values = {name: getattr(self, name) for name in own}
        space = space_to_json(self.space)
        write_json(self.path, {"format": FORMAT, **values, "space": space})


def plan_sweep(
    data: Place,
    folder: Path,
    space: Space,
    settings: dict[str, Any],
    *,
    trials: int | None = None,
    sampler: Sampler = "tpe",
    prune: bool = True,
) -> SweepPlan:
    """Return the plan of a new sweep: a grid of lists, or with `trials` draws.

    Raises:
        ConfigError: nothing is varied, or values do not fit the records.
        DataError: the records cannot be used.
        RunError: the folder holds a sweep already.
    """
    check_space(space)
    is_grid = trials is None and all(isinstance(x, Choices) for x in space.values())
    if is_grid:
        trials = len(combinations(space))
    plan = SweepPlan(
        folder=folder,
        data=str(data.absolute()),
        settings=settings,
        space=space,
        trials=TRIALS if trials is None else trials,
        is_grid=is_grid,
        sampler=sampler,
        prune=prune,
    )
    if plan.path.exists():
        raise RunError(
            f"{folder} holds a sweep already. Go on with it with `resume=True`, or"
            " choose another `out`."
        )
    _require_fit(plan)
    return plan


def _require_fit(plan: SweepPlan) -> None:
    """Check the settings before the first trial, each against the records.

    Raises:
        ConfigError: one is unknown or does not fit, or no accuracy will be measured.
    """
    # With them comes TensorFlow, which going on with a sweep can do without.
    from alexnet.model.training.plan import make_run_config, read_config
    from alexnet.pipeline.read.dataset import steps_per_epoch
    from alexnet.pipeline.read.image_folder import open_data

    if unknown := sorted(({*plan.space, *plan.settings}) - set(OPTIONS)):
        raise ConfigError(f"`alexnet fit` has no settings {', '.join(unknown)}")
    data = as_place(plan.data)
    records = open_data(data, read=read_config(plan.settings))
    if not records.manifest.splits["validation"].num_examples:
        raise ConfigError(
            f"a sweep compares validation accuracies, and the records in {plan.data}"
            " hold no validation examples. Build them with a `validation_fraction`"
            " above 0."
        )
    for values in extreme_settings(plan.space):
        settings = {**plan.settings, **values}
        config = make_run_config(data, records, settings, None)
        steps_per_epoch(records, config.train.batch_size)  # refuses too large a batch


def load_plan(folder: Path, trials: int | None = None) -> SweepPlan:
    """Return the plan of a sweep to go on with, perhaps with more trials.

    Raises:
        ConfigError: fewer trials, or other than the grid's, were asked for.
        RunError: there is no sweep, or its plan cannot be read.
    """
    path = folder / "sweep.json"
    try:
        values = json.loads(path.read_text("utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        values["space"] = space_from_json(values["space"])
        plan = SweepPlan(folder=folder, **values)
    except FileNotFoundError as error:
        raise RunError(
            f"no sweep in this folder: {folder}. Expected one that `alexnet sweep`"
            " made, with a sweep.json in it."
        ) from error
    except (*NOT_A_PLAN, AlexnetError) as error:
        raise RunError(f"{path} is damaged or of another version: {error}") from error
    if trials is None:
        return plan
    if plan.is_grid:
        raise ConfigError("a grid has its own number of trials: leave `trials` out")
    require(trials >= plan.trials, "trials", trials, f"{plan.trials} or more")
    return replace(plan, trials=trials)
