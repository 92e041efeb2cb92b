"""The plan of a run: settings that fit each other, the records and the run folder.

What `fit` checks before it touches a device or writes a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.config import NetworkConfig, TrainConfig
from model.run import RunConfig, RunFolder, describe_data, require_same_settings
from pipeline.config import ReadConfig, require
from pipeline.dataset import steps_per_epoch
from pipeline.errors import ConfigError, RunError
from pipeline.photos import open_data
from pipeline.presets import preset
from pipeline.reader import RecordSet, choose_reader


@dataclass(frozen=True)
class TrainPlan:
    """A run that can be executed: settings that fit the records and the folder."""

    run: RunFolder
    config: RunConfig
    records: RecordSet
    read: ReadConfig
    resume: bool
    # Between saved states; losing the machine costs no more than that.
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        minutes = self.checkpoint_minutes
        require(minutes >= 0, "checkpoint_minutes", minutes, "0 or more")

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(self.records, self.config.train.batch_size)

    @property
    def validation_steps(self) -> int | None:
        """Batches of a validation, the last one padded; None without a split."""
        count = self.records.manifest.splits["validation"].num_examples
        return -(-count // self.config.train.batch_size) or None


def plan_training(
    data: Path | None,
    run: RunFolder,
    settings: dict[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_minutes: float = 10.0,
) -> TrainPlan:
    """The plan of a run on the records in `data`; None is where a resumed run's are.

    `settings` are the NetworkConfig and TrainConfig values that were asked for; the
    others are the run's own when it is resumed, and the defaults otherwise.

    Raises:
        ConfigError: the settings do not fit each other or the records.
        DataError: the records cannot be used.
        RunError: the run folder is taken, missing, or of other settings.
    """
    old = run.load_config() if resume else None
    if data is None and old is not None:
        data = Path(old.data)
    if data is None:
        raise ConfigError("a new run needs the folder of its records")
    if run.is_taken() and not (resume or overwrite):
        raise RunError(
            f"{run.path} holds a run already. Go on with it with --resume, or delete it"
            " and start again with --overwrite."
        )
    records = open_data(data)
    config = make_run_config(data, records, settings, old)
    if old is not None:
        require_same_settings(run, old, config)
    steps_per_epoch(records, config.train.batch_size)  # refuses too large a batch
    read = config.train.read
    return TrainPlan(run, config, records, read, resume, checkpoint_minutes)


def make_run_config(
    data: Path, records: RecordSet, settings: dict[str, Any], old: RunConfig | None
) -> RunConfig:
    """The settings of a run that trains on `records`, or goes on from `old`.

    Raises:
        ConfigError: they do not fit each other or the records.
        RunError: `old` was trained on other classes.
    """
    names = records.manifest.class_names
    if len(names) < 2:
        raise ConfigError(
            f"the records hold one class only ({names[0]}), and telling classes apart"
            " needs two or more. Build them from a source with several classes."
        )
    if old is not None and old.class_names != names:
        raise RunError(
            f"the run was trained on the classes {', '.join(old.class_names)}; the"
            f" records in {data} hold {', '.join(names)}"
        )
    network = old.network if old else NetworkConfig(num_classes=len(names))
    network = _replaced(network, settings)
    train = _with_horizon(
        old.train if old else TrainConfig(), settings, resumed=bool(old)
    )
    _require_side(records, network.image_size)
    # The order of an epoch is the reader's: a run keeps the one it began with.
    chosen = choose_reader(records, train.reader)
    if chosen.name != "photos":
        train = replace(train, reader=chosen.name)
    return RunConfig(
        **describe_data(data, records.manifest),
        network=network,
        augment=preset(train.augment),
        train=train,
        reader_reason=old.reader_reason if old else chosen.reason,
    )


def _replaced(config: Any, settings: dict[str, Any]) -> Any:
    known = {k: v for k, v in settings.items() if k in config.__dataclass_fields__}
    return replace(config, **known)


def _with_horizon(
    train: TrainConfig, settings: dict[str, Any], resumed: bool
) -> TrainConfig:
    """The settings, with a schedule that is as long as the run where it is longer."""
    if not resumed and "decay_epochs" not in settings:
        longest = max(train.decay_epochs, settings.get("epochs", 0))
        train = replace(train, decay_epochs=longest)
    return _replaced(train, settings)


def _require_side(records: RecordSet, image_size: int) -> None:
    side = records.manifest.config.side
    if side < image_size:
        raise ConfigError(
            f"the records in {records.folder} hold {side} px squares; the network takes"
            f" {image_size} px. Build them with --side {image_size} or more, or train"
            f" with --image-size {side} or less."
        )
