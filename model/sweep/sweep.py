"""Execute the plan of a sweep: a process a trial, several at once, until all ended."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from alexnet.model.sweep.hparams import log_sweep
from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.sweep.progress import SweepProgress
from alexnet.model.sweep.report import (
    SweepReport,
    sweep_report,
    trial_report,
)
from alexnet.model.sweep.study import open_study, take_trial, unfinished
from alexnet.model.sweep.trial_process import TrialProcess, start_trial
from alexnet.model.training.signals import StopSignals
from alexnet.pipeline.setting import require

if TYPE_CHECKING:
    from optuna import Study

POLL_SECONDS = 0.5
MAX_JOBS = 1024


def run_sweep(plan: SweepPlan, jobs: int, progress: SweepProgress) -> SweepReport:
    """Train every trial of the plan that has not ended, `jobs` at once.

    Where other machines train some, wait for those.

    Raises:
        ConfigError: Optuna is not installed, or there are no such jobs.
        KeyboardInterrupt: the sweep was asked to stop; every trial's state is saved.
    """
    require(1 <= jobs <= MAX_JOBS, "jobs", jobs, f"1 to {MAX_JOBS:,}")
    plan.save()
    log_sweep(plan)
    study = open_study(plan)
    gpus = gpu_of_each_job(jobs)
    running: dict[int, TrialProcess] = {}
    is_waiting = False
    with StopSignals() as signals:
        try:
            while running or unfinished(study, plan):
                if signals.received is not None:
                    signals.stop()
                _fill(running, gpus, study, plan)
                if not running and not is_waiting:
                    progress.waiting(len(unfinished(study, plan)))
                is_waiting = not running
                time.sleep(POLL_SECONDS)
                for job, process in list(running.items()):
                    if process.is_over():
                        del running[job]
                        _tell(progress, process, study, plan)
        finally:
            _leave(running)
    return sweep_report(study, plan)


def _fill(
    running: dict[int, TrialProcess],
    gpus: list[str | None],
    study: Study,
    plan: SweepPlan,
) -> None:
    """Give every idle job a trial, as long as there are any."""
    for job, gpu in enumerate(gpus):
        if job not in running and (taken := take_trial(study, plan)):
            running[job] = start_trial(plan, *taken, gpu)


def _tell(
    progress: SweepProgress, process: TrialProcess, study: Study, plan: SweepPlan
) -> None:
    trial = study.get_trials(deepcopy=False)[process.trial.number]
    ended = plan.trials - len(unfinished(study, plan))
    progress.ended(trial_report(trial, plan), ended, plan.trials)


def _leave(running: dict[int, TrialProcess]) -> None:
    for process in running.values():
        process.interrupt()
    for process in running.values():
        process.leave()


def gpu_of_each_job(jobs: int) -> list[str | None]:
    """Return what CUDA shall see of the GPUs in each job: all of them for a single one.

    More jobs than GPUs share them.
    """
    gpus = visible_gpus()
    if jobs == 1 or not gpus:
        return [None] * jobs
    return [gpus[job % len(gpus)] for job in range(jobs)]


def visible_gpus() -> list[str]:
    """Return the GPUs by CUDA's names: those of its variable, or the driver's."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = map(
            pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount())
        )
        # CUDA counts the fastest first, the driver by their slots.
        return [pynvml.nvmlDeviceGetUUID(handle) for handle in handles]
    except pynvml.NVMLError:
        return []
