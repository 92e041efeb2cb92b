"""The report of a sweep: a report of each trial, the best one, and the JSON."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class TrialReport:
    """A trial: its values, and its epochs so far."""

    number: int
    run: Path
    values: dict[str, Any]
    # Optuna's, in lower case: waiting, running, complete, pruned or failed.
    state: str
    history: tuple[EpochRecord, ...] = ()
    # The last words of a process that failed.
    error: str | None = None

    @property
    def best(self) -> EpochRecord | None:
        """The epoch of the best validation accuracy, which `evaluate` takes."""
        return best_epoch(self.history)

    @property
    def accuracy(self) -> float | None:
        """The best validation accuracy."""
        return self.best.val_accuracy if self.best else None

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        best = self.best
        return {
            "number": self.number,
            "run": str(self.run),
            "values": self.values,
            "validation": best
            and {
                "epoch": best.epoch,
                "loss": best.val_loss,
                "accuracy": best.val_accuracy,
            },
            "state": self.state,
            **({"error": self.error} if self.error else {}),
        }


@dataclass(frozen=True)
class SweepReport:
    """The trials of a sweep so far, and the best of them."""

    plan: SweepPlan
    trials: tuple[TrialReport, ...]

    @property
    def ranked(self) -> list[TrialReport]:
        """The trials from the best accuracy down; those without one at the end."""
        return sorted(self.trials, key=lambda trial: -(trial.accuracy or 0))

    @property
    def best(self) -> TrialReport | None:
        """The best of the trials that came to their end."""
        complete = [trial for trial in self.ranked if trial.state == "complete"]
        return complete[0] if complete else None

    @property
    def best_command(self) -> str | None:
        """The command line that trains as the best trial did."""
        return self.plan.fit_command(self.best.values) if self.best else None

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "sweep": str(self.plan.folder),
            "trials": [trial.to_json() for trial in self.trials],
            "best": self.best and {**self.best.to_json(), "command": self.best_command},
        }


def sweep_report(study: Study, plan: SweepPlan) -> SweepReport:
    """Return the report of a sweep's planned trials as they stand."""
    trials = study.get_trials(deepcopy=False)[: plan.trials]
    return SweepReport(plan, tuple(trial_report(trial, plan) for trial in trials))


def trial_report(trial: FrozenTrial, plan: SweepPlan) -> TrialReport:
    """Return the report of a trial as it stands."""
    history: list[EpochRecord] = []
    run = RunFolder(plan.run_path(trial.number))
    with suppress(RunError):  # it is what made the trial fail
        history = run.load_history()
    state = trial.state.name.lower()
    return TrialReport(
        number=trial.number,
        run=run.path,
        values=trial.user_attrs.get("values", {}),
        state="failed" if state == "fail" else state,
        history=tuple(history),
        error=trial.user_attrs.get("error"),
    )
