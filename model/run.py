"""A run folder: what was asked for, what was reached, and where its weights are.

`config.json` says what the run is, `history.csv` has a line an epoch, `checkpoints/`
holds the last and the best state, `logs/` is TensorBoard's.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model.config import NetworkConfig, TrainConfig
from pipeline.config import AugmentConfig, Fit
from pipeline.errors import AlexnetError, RunError
from pipeline.files import atomic_path, write_json
from pipeline.manifest import Manifest

FORMAT = 1


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers, and where its records are."""

    data: str
    class_names: tuple[str, ...]
    records_fingerprint: str
    storage: str
    stored_side: int
    fit: Fit
    network: NetworkConfig
    augment: AugmentConfig
    train: TrainConfig

    def to_json(self) -> dict[str, Any]:
        """The settings and the versions that made the run."""
        versions = {name: version(name) for name in ("alexnet", "tensorflow", "numpy")}
        versions["python"] = platform.python_version()
        return {"format": FORMAT, **asdict(self), "versions": versions}


def run_config_from_json(values: dict[str, Any]) -> RunConfig:
    """The settings back from `RunConfig.to_json`."""
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}, this version reads {FORMAT}")
    return RunConfig(
        data=values["data"],
        class_names=tuple(values["class_names"]),
        records_fingerprint=values["records_fingerprint"],
        storage=values["storage"],
        stored_side=values["stored_side"],
        fit=values["fit"],
        network=NetworkConfig.from_json(values["network"]),
        augment=AugmentConfig.from_json(values["augment"]),
        train=TrainConfig.from_json(values["train"]),
    )


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch gave: a line of `history.csv`.

    Validation figures are None where there is no validation split; `seconds` is the
    training's part, of which `input_wait_share` was spent waiting for batches.
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


@dataclass(frozen=True)
class RunFolder:
    """The places of a run folder."""

    path: Path

    @property
    def config_path(self) -> Path:
        """Settings, JSON."""
        return self.path / "config.json"

    @property
    def history_path(self) -> Path:
        """A line an epoch, CSV."""
        return self.path / "history.csv"

    @property
    def logs_path(self) -> Path:
        """TensorBoard's folder."""
        return self.path / "logs"

    def checkpoints_path(self, which: str) -> Path:
        """The folder of the `last` or the `best` checkpoint."""
        return self.path / "checkpoints" / which

    def exists(self) -> bool:
        """Whether a run has been started here."""
        return self.config_path.is_file()

    def save_config(self, config: RunConfig) -> None:
        """Start the run's folder, or note that it goes on for longer."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config_path, config.to_json())

    def load_config(self) -> RunConfig:
        """The settings of the run.

        Raises:
            RunError: there is no run here, or its settings cannot be read.
        """
        if not self.exists():
            is_folder = self.path.is_dir()
            what = "no run in this folder" if is_folder else "no such folder"
            raise RunError(
                f"{what}: {self.path}. Expected one that `alexnet fit --run` made, with"
                " a config.json in it."
            )
        try:
            return run_config_from_json(json.loads(self.config_path.read_text("utf-8")))
        except (ValueError, KeyError, TypeError, AlexnetError) as error:
            raise RunError(
                f"{self.config_path} is damaged or of another version: {error}"
            ) from error

    def save_history(self, history: Sequence[EpochRecord]) -> None:
        """Write every epoch's line, so that the file is whole or as before."""
        with (
            atomic_path(self.history_path) as partial,
            partial.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)])
            writer.writeheader()
            writer.writerows(asdict(record) for record in history)

    def load_history(self) -> list[EpochRecord]:
        """The epochs so far; none before the first has ended."""
        if not self.history_path.is_file():
            return []
        with self.history_path.open(newline="") as file:
            return [_epoch_record(row) for row in csv.DictReader(file)]


def _epoch_record(row: dict[str, str]) -> EpochRecord:
    values: dict[str, Any] = {
        name: float(text) if text else None for name, text in row.items()
    }
    values |= {name: int(row[name]) for name in ("epoch", "step")}
    return EpochRecord(**values)


def new_run_path() -> Path:
    """runs/<date-time> in the current folder, with a number where that is taken."""
    base = Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    names = (base, *(base.with_name(f"{base.name}-{n}") for n in range(2, 100)))
    return next(path for path in names if not path.exists())


def describe_data(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The RunConfig fields that the records decide."""
    return {
        "data": str(folder.absolute()),
        "class_names": manifest.class_names,
        "records_fingerprint": manifest.fingerprint,
        "storage": manifest.config.storage,
        "stored_side": manifest.config.side,
        "fit": manifest.config.fit,
    }


def require_same_settings(run: RunFolder, old: RunConfig, new: RunConfig) -> None:
    """Check that `new` goes on with `old`: only the number of epochs may grow.

    Raises:
        RunError: anything else differs; the message lists it.
    """
    same_epochs = replace(new, train=replace(new.train, epochs=old.train.epochs))
    differences = _differences(asdict(old), asdict(same_epochs))
    if new.train.epochs < old.train.epochs:
        differences.append(f"epochs {old.train.epochs} -> {new.train.epochs}")
    if differences:
        raise RunError(
            f"{run.path} was trained with other settings: {'; '.join(differences)}."
            " Leave them out to resume with the run's own, or start another --run."
        )


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = []
    for name, value in old.items():
        if isinstance(value, dict):
            found += _differences(value, new[name])
        elif value != new[name] and name != "data":
            found.append(f"{name} {value} -> {new[name]}")
    return found
