"""A run folder: what was asked for, what was reached, and where its weights are.

`config.json` says what the run is, `history.csv` has a line an epoch, `checkpoints/`
holds the last and the best state, `logs/` is TensorBoard's.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

from model.config import NetworkConfig, TrainConfig
from model.history import EpochRecord, read_history, write_history
from pipeline.config import AugmentConfig, BuildConfig, Resize, Storage, require
from pipeline.errors import AlexnetError, RunError
from pipeline.files import require_local, write_json
from pipeline.kinds import require_kinds
from pipeline.manifest import Manifest

FORMAT = 1
# What reading JSON raises of a file that holds something else.
NOT_SETTINGS = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers, and where its records are."""

    data: str
    class_names: tuple[str, ...]
    records_fingerprint: str
    storage: Storage
    stored_side: int
    resize: Resize
    network: NetworkConfig
    augment: AugmentConfig
    train: TrainConfig
    # Why the records are read by `train.reader`.
    reader_reason: str

    def __post_init__(self) -> None:
        BuildConfig(
            self.storage, self.stored_side, self.resize
        )  # refuses what cannot be
        require(_is_path(self.data), "data", self.data, "a path")
        names, network = self.class_names, self.network
        distinct = len(set(names)) == network.num_classes == len(names)
        require(distinct, "class_names", names, f"{network.num_classes} names")
        fits = network.image_size <= self.stored_side
        side = f"the records' {self.stored_side} px or less"
        require(fits, "image_size", network.image_size, side)

    def to_json(self) -> dict[str, Any]:
        """The settings and the versions that made the run."""
        versions = {name: version(name) for name in ("alexnet", "tensorflow", "numpy")}
        versions["python"] = platform.python_version()
        return {"format": FORMAT, **asdict(self), "versions": versions}


def _is_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def run_config_from_json(values: dict[str, Any]) -> RunConfig:
    """The settings back from `RunConfig.to_json`."""
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}, this version reads {FORMAT}")
    require_kinds(RunConfig, values)
    return RunConfig(
        data=values["data"],
        class_names=tuple(values["class_names"]),
        records_fingerprint=values["records_fingerprint"],
        storage=values["storage"],
        stored_side=values["stored_side"],
        resize=values["resize"],
        network=NetworkConfig.from_json(values["network"]),
        augment=AugmentConfig.from_json(values["augment"]),
        train=TrainConfig.from_json(values["train"]),
        reader_reason=values["reader_reason"],
    )


@dataclass(frozen=True)
class RunFolder:
    """The places of a run folder."""

    path: Path

    def __post_init__(self) -> None:
        require_local(self.path)

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

    def is_taken(self) -> bool:
        """Whether a run is here, or what a deletion that was cut short has left."""
        return self.exists() or self.checkpoints_path("last").is_dir()

    @property
    def resume_command(self) -> str:
        """What goes on with the run."""
        return f"alexnet fit --run {quote(str(self.path))} --resume"

    def save_config(self, config: RunConfig) -> None:
        """Start the run's folder, or note that it goes on for longer.

        Raises:
            RunError: it cannot be written.
        """
        with self._writing(self.config_path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.config_path, config.to_json())

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{path} cannot be written: {error.strerror or error}. Mend that or"
                " choose another --run; what was there is kept, and --resume goes on."
            ) from error

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
        except (*NOT_SETTINGS, AlexnetError) as error:
            raise RunError(
                f"{self.config_path} is damaged or of another version: {error}. Put it"
                " back, or start the run again with --overwrite."
            ) from error

    def save_history(self, history: Sequence[EpochRecord]) -> None:
        """Write every epoch's line, so that the file is whole or as before.

        Raises:
            RunError: it cannot be written.
        """
        with self._writing(self.history_path):
            write_history(self.history_path, history)

    def load_history(self) -> list[EpochRecord]:
        """The epochs so far; none before the first has ended.

        Raises:
            RunError: the file is damaged.
        """
        return read_history(self.history_path)


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
        "resize": manifest.config.resize,
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
