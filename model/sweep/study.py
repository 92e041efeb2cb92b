"""A sweep's trials as Optuna keeps them, in a journal that several machines may share.

Each trial stands in the journal before the first one begins: who is free takes the next
that waits, and what a killed process was training is taken over by another.
"""

from __future__ import annotations

import logging
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.sweep.space import combinations
from alexnet.pipeline.errors import ConfigError, RunError
from alexnet.pipeline.lock import lock_file

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

# Trials that end before any is pruned; Optuna's own default.
UNPRUNED_TRIALS = 5
# Progress is reported in tenths of a trial, so that runs of 5 and of 20 epochs are
# compared where their learning rates have fallen as far. Nothing is judged before.
UNPRUNED_TENTHS = 3


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "a sweep needs Optuna, which is not installed: `pip install"
            " 'alexnet[sweep]'`."
        ) from error


def open_study(plan: SweepPlan) -> Study:
    """Open the journal of a sweep, or begin it, with a trial for each planned one."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(logging.WARNING)
    path = str(plan.journal_path)
    # Optuna's other lock, a link, is never found stale by way of a relative path.
    backend = JournalFileBackend(path, lock_obj=JournalFileOpenLock(path))
    study = optuna.create_study(
        study_name="sweep",
        storage=JournalStorage(backend),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(UNPRUNED_TRIALS, UNPRUNED_TENTHS)
        if plan.prune
        else optuna.pruners.NopPruner(),
    )
    fixed = combinations(plan.space) if plan.is_grid else [{}] * plan.trials
    for values in fixed[len(study.trials) :]:
        study.enqueue_trial(values)
    return study


def unfinished(study: Study, plan: SweepPlan) -> list[FrozenTrial]:
    """Return the planned trials that wait or run, here or elsewhere."""
    planned = study.get_trials(deepcopy=False)[: plan.trials]
    return [trial for trial in planned if not trial.state.is_finished()]


def take_trial(study: Study, plan: SweepPlan) -> tuple[Trial, FileIO | None] | None:
    """Return a trial to train, and the lock that says so; None when all are taken."""
    from optuna import Trial
    from optuna.trial import TrialState

    for frozen in unfinished(study, plan):
        try:
            lock = _lock(plan, frozen.number)
        except RunError:
            continue
        # Optuna's `ask` begins a trial beyond the planned ones when others are faster,
        # and never goes on with one whose process was killed.
        if not study.trials[frozen.number].state.is_finished():
            study._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
            trial = Trial(study, frozen._trial_id)
            _suggest(trial, plan)
            return trial, lock
        release(lock)
    return None


def _lock(plan: SweepPlan, number: int) -> FileIO | None:
    path = plan.run_path(number).with_suffix(".lock")
    return lock_file(path, RunError(f"another process trains trial {number}"))


def release(lock: FileIO | None) -> None:
    """Let another process have the trial."""
    if lock:
        Path(str(lock.name)).unlink(missing_ok=True)
        lock.close()


def _suggest(trial: Trial, plan: SweepPlan) -> None:
    """Draw the trial's values, a function of the seed and the trial's number."""
    from optuna.samplers import RandomSampler, TPESampler

    seed = plan.seed + trial.number
    trial.study.sampler = (
        RandomSampler(seed)
        if plan.sampler == "random"
        else TPESampler(seed=seed, constant_liar=True)
    )
    values = {name: x.suggest(trial, name) for name, x in plan.space.items()}
    trial.set_user_attr("values", values)
