"""The runs in a folder, side by side: what each has reached, and where they differ."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from alexnet.model.config import RunOrder
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.report import FitReport
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.errors import DataError, RunError


@dataclass(frozen=True)
class ListedRun:
    """A run, its settings by name and the epochs it has behind it."""

    run: Path
    settings: dict[str, Any]
    history: tuple[EpochRecord, ...]

    @property
    def report(self) -> FitReport | None:
        """The report of the run so far; None before its first epoch has ended."""
        return FitReport(self.run, self.history) if self.history else None

    def accuracy(self, which: Literal["best", "last"]) -> float | None:
        """The validation accuracy of the best or the last epoch."""
        epoch = getattr(self.report, which, None)
        return epoch and epoch.val_accuracy

    def key(self, order: RunOrder) -> Any:
        """Return the key to sort by: the highest figure first, or the name."""
        if order == "name":
            return str(self.run)
        if order == "speed":
            return -(self.report.images_per_second if self.report else 0)
        return -(self.accuracy(order) or 0)


@dataclass(frozen=True)
class RunList:
    """Runs in an order, and folders that were passed over, with the reason."""

    runs: tuple[ListedRun, ...]
    passed_over: dict[Path, str]

    @property
    def differing(self) -> list[str]:
        """The settings that are not the same in all runs."""
        names = dict.fromkeys(name for run in self.runs for name in run.settings)
        return [
            name
            for name in names
            if len({str(run.settings.get(name)) for run in self.runs}) > 1
        ]

    def to_json(self) -> dict[str, Any]:
        """The list's promised fields."""
        return {"runs": [self._run_to_json(run) for run in self.runs]}

    def _run_to_json(self, run: ListedRun) -> dict[str, Any]:
        report = run.report
        return {
            "run": str(run.run),
            "epochs": len(run.history),
            "best": report and _accuracy(report.best),
            "last": report and _accuracy(report.last),
            "images_per_second": report and report.images_per_second,
            "settings": {name: run.settings.get(name) for name in self.differing},
        }


def _accuracy(epoch: EpochRecord | None) -> dict[str, Any] | None:
    if epoch is None:
        return None
    return {"epoch": epoch.epoch, "accuracy": epoch.val_accuracy}


def list_runs(folder: Path, order: RunOrder = "best") -> RunList:
    """Return the runs in a folder and below it, the best first.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(
            f"no such folder: {folder}. Expected one with run folders in it."
        )
    runs: list[ListedRun] = []
    passed_over: dict[Path, str] = {}
    for child in _children(folder):
        run_folders = list(_run_folders(child))
        if not run_folders:
            passed_over[child] = "no run in it"
        for run in run_folders:
            try:
                runs.append(_listed(run))
            except RunError as error:
                passed_over[run.path] = str(error)
    return RunList(tuple(sorted(runs, key=lambda run: run.key(order))), passed_over)


def _children(folder: Path) -> list[Path]:
    """Return the folders to look into: those in a folder, or a run's folder itself."""
    if RunFolder(folder).exists():
        return [folder]
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _run_folders(folder: Path) -> Iterator[RunFolder]:
    """Yield the runs in a folder and below, as in a sweep's; none is inside of one."""
    for place, below, _ in os.walk(folder):
        if (run := RunFolder(Path(place))).exists():
            below.clear()
            yield run
        below.sort()


def _listed(run: RunFolder) -> ListedRun:
    config, history = run.load_config(), run.load_history()
    return ListedRun(run.path, settings_of(config), tuple(history))


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a run and of its records, by name."""
    own = ("data", "storage", "stored_side", "resize")
    records = {name: getattr(config, name) for name in own}
    return {**asdict(config.network), **asdict(config.train), **records}
