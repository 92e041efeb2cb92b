"""The history of a run: a record of every epoch, a line of its `history.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from alexnet.model.training.epoch_clock import EpochTime
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.files import atomic_path


@dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch: a line of `history.csv`.

    Validation figures are None where there is no validation split; `seconds` is the
    training's part, of which `input_wait_share` was spent waiting for batches. The
    other seconds are those of an `EpochTime`.
    """

    epoch: int
    step: int
    learning_rate: float
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    images_per_second: float
    input_wait_share: float
    seconds: float
    # By loss scaling, where float16 overflowed.
    skipped_steps: int = 0
    # Mean over the epoch and its validation; None without a GPU that tells.
    gpu_busy_percent: float | None = None
    step_seconds: float = 0.0
    host_seconds: float = 0.0
    validation_seconds: float = 0.0
    saving_seconds: float = 0.0

    @property
    def time(self) -> EpochTime:
        """Every second of the epoch, by what it was spent on."""
        return EpochTime(
            step=self.step_seconds,
            input=self.input_wait_share * self.seconds,
            host=self.host_seconds,
            validation=self.validation_seconds,
            saving=self.saving_seconds,
        )

    def with_time(self, time: EpochTime) -> EpochRecord:
        """Return the record with the times of `time`, except input's, which it has."""
        return replace(
            self,
            step_seconds=time.step,
            host_seconds=time.host,
            validation_seconds=time.validation,
            saving_seconds=time.saving,
        )


def best_epoch(history: Sequence[EpochRecord]) -> EpochRecord | None:
    """The first epoch of the highest validation accuracy; None without validation."""
    validated = [record for record in history if record.val_accuracy is not None]
    return max(validated, key=_validation_accuracy, default=None)


def _validation_accuracy(record: EpochRecord) -> float:
    return record.val_accuracy or 0.0


def is_out_of_patience(history: Sequence[EpochRecord], patience: int | None) -> bool:
    """Tell whether the last `patience` epochs brought no better validation accuracy."""
    best = best_epoch(history)
    if patience is None or best is None:
        return False
    return history[-1].epoch - best.epoch >= patience


def write_history(path: Path, history: Sequence[EpochRecord]) -> None:
    """Write every epoch's line, so that the file is whole or as before."""
    with atomic_path(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in history)


def read_history(path: Path) -> list[EpochRecord]:
    """The epochs in a file; none where it is not there yet.

    Raises:
        RunError: it is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            history = [_from_row(row) for row in csv.DictReader(file)]
        numbers = [record.epoch for record in history]
        if numbers != list(range(1, len(history) + 1)):
            raise ValueError("its epochs do not follow one another from 1")
    except (csv.Error, OverflowError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} is damaged: {error}. It holds what the run has reached: put it"
            " back, or start the run again with `overwrite=True`."
        ) from error
    return history


def _from_row(row: dict[str, str]) -> EpochRecord:
    """The record of a line.

    Raises:
        TypeError: it has too many columns, or too few.
        ValueError: a column holds no number, or one that cannot be.
    """
    values: dict[str, Any] = {
        name: float(text) if text else None for name, text in row.items()
    }
    for name in ("epoch", "step", "skipped_steps"):
        values[name] = int(row.get(name) or 0)
    record = EpochRecord(**values)
    for name, value in asdict(record).items():
        lacks = value is None or not math.isfinite(value)
        if lacks and not name.startswith(("val_", "gpu_")):
            raise ValueError(f"{name} is {value} in epoch {record.epoch}")
    if record.seconds <= 0:
        raise ValueError(f"seconds is {record.seconds} in epoch {record.epoch}")
    return record
