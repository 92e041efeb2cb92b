"""A run folder: what was asked for, what was reached, and where its weights are.

`config.json` says what the run is, `history.csv` has a line an epoch, `checkpoints/`
holds the last and the best state, `logs/` is TensorBoard's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from shlex import quote

from alexnet.model.config import SAVED_NETWORK
from alexnet.model.training.history import EpochRecord, read_history, write_history
from alexnet.model.training.history_html import history_html
from alexnet.model.training.run_config import RunConfig, run_config_from_json
from alexnet.pipeline.errors import AlexnetError, RunError
from alexnet.pipeline.files import require_local, write_json, write_text
from alexnet.pipeline.lock import removed_when_empty, sole_process
from alexnet.pipeline.notebook import html_table

LOCK = ".lock"
# Errors of reading JSON that holds something else.
NOT_SETTINGS = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class RunFolder:
    """The places of a run folder."""

    path: Path

    def __post_init__(self) -> None:
        require_local(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        try:
            return history_html(f"run {self.path}", self.load_history())
        except RunError as error:
            return html_table(str(error), [], [])

    @property
    def config_path(self) -> Path:
        """Settings, JSON."""
        return self.path / "config.json"

    @property
    def network_path(self) -> Path:
        """Architecture of a network whose function has no name, JSON."""
        return self.path / SAVED_NETWORK

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
        """Tell whether a run has been started here."""
        return self.config_path.is_file()

    def is_taken(self) -> bool:
        """Tell whether a run is here, or the rest of one that was not deleted whole."""
        return self.exists() or self.checkpoints_path("last").is_dir()

    def require_free(self) -> None:
        """Check that no run is here.

        Raises:
            RunError: one is.
        """
        if self.is_taken():
            raise RunError(
                f"{self.path} holds a run already. Go on with it with `resume=True`,"
                " or delete it and start again with `overwrite=True`."
            )

    def require_ours(self) -> None:
        """Check that what is here may be deleted: a run, whole or damaged, or nothing.

        Raises:
            RunError: it is someone else's.
        """
        if (
            not self.exists()
            or (self.checkpoints_path("last") / "checkpoint").is_file()
        ):
            return
        with suppress(ValueError):
            values = json.loads(self.config_path.read_text("utf-8"))
            if isinstance(values, dict) and {"network", "train"} <= set(values):
                return
        raise RunError(
            f"{self.config_path} is none of a run's, and `overwrite` deletes nothing"
            " else. Choose another `run`, or take that file away."
        )

    def sole_training(self) -> AbstractContextManager[None]:
        """Keep other trainings from the folder for a block.

        Raises:
            RunError: another process trains there.
        """
        taken = RunError(
            f"another process is training in {self.path} at this moment. Wait for it to"
            " end, or choose another `run`."
        )
        return sole_process(self.path / LOCK, taken)

    @property
    def resume_command(self) -> str:
        """The command that goes on with the run."""
        return f"alexnet fit --run {quote(str(self.path))} --resume"

    def save_config(
        self, config: RunConfig, machine: Mapping[str, str] | None = None
    ) -> None:
        """Start the run's folder, or note that it goes on for longer.

        `machine` describes where the run computes; it decides no number.

        Raises:
            RunError: it cannot be written.
        """
        with self._writing(self.config_path):
            self.path.mkdir(parents=True, exist_ok=True)
            values = config.to_json() | {"machine": dict(machine or {})}
            write_json(self.config_path, values)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{path} cannot be written: {error.strerror or error}. Mend that or"
                " choose another `run`; what was there is kept, and `resume=True` goes"
                " on."
            ) from error

    def save_network(self, description: str) -> None:
        """Write the architecture of the run's network.

        Raises:
            RunError: it cannot be written.
        """
        with self._writing(self.network_path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.network_path, description)

    def load_network(self) -> str:
        """The architecture that `save_network` wrote.

        Raises:
            RunError: it is not there.
        """
        try:
            return self.network_path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(
                f"{self.network_path} holds the run's architecture, and cannot be read:"
                f" {error}. Put it back."
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
                " back, or start the run again with `overwrite=True`."
            ) from error

    def load_circumstances(self) -> dict[str, str]:
        """The machine and the versions that made the run; empty where unknown."""
        with suppress(OSError, ValueError, AttributeError, TypeError):
            values = json.loads(self.config_path.read_text("utf-8"))
            machine, versions = values.get("machine", {}), values["versions"]
            return {str(k): str(v) for k, v in {**machine, **versions}.items()}
        return {}

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


def dated(parent: Path) -> Path:
    """Return <parent>/<date-time>, a path for a run or sweep that begins now."""
    return parent / datetime.now().strftime("%Y-%m-%d-%H%M%S")


@contextmanager
def new_folder(base: Path) -> Iterator[Path]:
    """Make a folder, with a number behind its name where that is taken.

    Nobody else gets the same; it is deleted when the block leaves it empty.
    """
    with removed_when_empty(base.parent):
        others = (base.with_name(f"{base.name}-{number}") for number in count(2))
        path = next(path for path in chain([base], others) if _make(path))
        try:
            yield path
        finally:
            with suppress(OSError):  # it is not empty
                path.rmdir()


def _make(path: Path) -> bool:
    """Make a folder; return False if another process has been faster."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return False
    return True
