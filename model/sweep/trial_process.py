"""A trial that trains: `alexnet fit` in a process of its own, watched and pruned."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.model.sweep.hparams import log_trial
from alexnet.model.sweep.plan import SweepPlan
from alexnet.model.sweep.study import release
from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError

if TYPE_CHECKING:
    from optuna import Trial

FIT = (sys.executable, "-m", "alexnet", "fit")
# Of what a failed process has printed, in bytes.
TAIL = 4096


@dataclass
class TrialProcess:
    """The process of a trial, in the run folder of that number."""

    trial: Trial
    run: RunFolder
    # Held by this process and the trial's own: while either lives, it is not taken.
    lock: FileIO | None
    process: subprocess.Popen[bytes]
    epochs: int
    reported_tenths: int
    pruned: bool = field(default=False, init=False)

    def is_over(self) -> bool:
        """Report new epochs to Optuna, and at the end what came of the trial."""
        code = self.process.poll()  # before the history, which is whole if it has ended
        history = self.history()
        self._report(history)
        if code is None:
            return False
        self._tell(code, history)
        release(self.lock)
        return True

    def history(self) -> list[EpochRecord]:
        """The epochs so far; none of a history that is damaged, as `fit` will say."""
        with suppress(RunError):
            return self.run.load_history()
        return []

    def _report(self, history: list[EpochRecord]) -> None:
        for record in history:
            tenths = 10 * record.epoch // self.epochs
            if tenths <= self.reported_tenths or record.val_accuracy is None:
                continue
            self.reported_tenths = tenths
            self.trial.report(record.val_accuracy, tenths)
            if not self.pruned and self.trial.should_prune():
                self.pruned = True
                self.process.terminate()

    def _tell(self, code: int, history: list[EpochRecord]) -> None:
        from optuna.trial import TrialState

        best = best_epoch(history)
        if code == 0 and best is not None:
            self.trial.study.tell(self.trial, best.val_accuracy)
        elif self.pruned:
            self.trial.study.tell(self.trial, state=TrialState.PRUNED)
        else:
            self.trial.set_user_attr("error", self._last_words(code))
            self.trial.study.tell(self.trial, state=TrialState.FAIL)

    def _last_words(self, code: int) -> str:
        """The last line that the process has printed, or its exit code."""
        with log_path(self.run).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL))
            lines = log.read().decode(errors="replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return words[-1] if words else f"exit code {code} without a word"

    def interrupt(self) -> None:
        """Ask the process to save its state and end."""
        self.process.terminate()

    def leave(self) -> None:
        """Wait until it has ended, and leave the trial to whoever resumes the sweep."""
        self.process.wait()
        release(self.lock)


def log_path(run: RunFolder) -> Path:
    """Return the file of what a trial's process prints."""
    return run.path / "fit.log"


def start_trial(
    plan: SweepPlan, trial: Trial, lock: FileIO | None, gpu: str | None
) -> TrialProcess:
    """Start the process of a trial, or go on with its run, on all GPUs or one."""
    run = RunFolder(plan.run_path(trial.number))
    values: dict[str, Any] = trial.user_attrs["values"]
    options = ["--resume"] if run.exists() else plan.fit_options(values)
    log_trial(plan, run, values)
    gpus = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    run.path.mkdir(parents=True, exist_ok=True)
    with log_path(run).open("ab") as log:
        process = subprocess.Popen(
            [*FIT, plan.data, "--run", str(run.path), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **gpus},
            pass_fds=[lock.fileno()] if lock else [],
            # Ctrl-C is the sweep's, which then ends its trials in order.
            start_new_session=True,
        )
    frozen = trial.study.trials[trial.number]
    return TrialProcess(
        trial=trial,
        run=run,
        lock=lock,
        process=process,
        epochs=values.get("epochs", plan.epochs),
        reported_tenths=max(frozen.intermediate_values, default=0),
    )
