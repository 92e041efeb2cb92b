"""The plan of a run: settings that fit each other, the records and the run folder.

`fit` checks all of it before it touches a device or writes a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet.model.config import (
    CHECKPOINT_MINUTES,
    SAVED_NETWORK,
    NetworkConfig,
    TrainConfig,
)
from alexnet.model.network.own import (
    NetworkFunction,
    find_function,
    name_of_function,
)
from alexnet.model.training.image_sides import ImageSides, make_image_sides
from alexnet.model.training.initial import settings_of_source
from alexnet.model.training.run import RunFolder, dated
from alexnet.model.training.run_config import RunConfig
from alexnet.model.training.same_run import require_same_records, require_same_settings
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import READ, ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.by_service import batch_reader
from alexnet.pipeline.read.dataset import steps_per_epoch
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.records.manifest import Manifest
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.setting import require

# Where runs go that are given no folder.
RUNS = Path("runs")


@dataclass(frozen=True)
class TrainPlan:
    """A run that can be executed: settings that fit the records and the folder."""

    run: RunFolder
    config: RunConfig
    records: OpenedSet
    # The settings so far of the run that is resumed.
    former: RunConfig | None = None
    overwrite: bool = False
    checkpoint_minutes: float = CHECKPOINT_MINUTES
    # Builds a network of the user's own.
    function: NetworkFunction | None = None
    # HOST:PORT of a dispatcher whose workers make the batches; they change no number.
    data_service: str | None = None

    def __post_init__(self) -> None:
        minutes = self.checkpoint_minutes
        require(minutes >= 0, "checkpoint_minutes", minutes, "0 or more")

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(self.records, self.config.train.batch_size)

    @property
    def image_sides(self) -> ImageSides:
        """Sides of the training images, by the epoch."""
        return make_image_sides(self.config.network, self.config.train)

    @property
    def resume(self) -> bool:
        """Whether the run goes on from its last state."""
        return self.former is not None

    @property
    def validation_steps(self) -> int | None:
        """Batches of a validation, the last one padded; None without a split."""
        count = self.records.manifest.splits["validation"].num_examples
        return -(-count // self.config.train.batch_size) or None


def plan_training(
    data: Place | None,
    run: RunFolder | None,
    settings: dict[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    data_service: str | None = None,
) -> TrainPlan:
    """Plan a run on the records in `data`; None stands for those of a resumed run.

    Without `run` it is runs/<date-time>, to be made when the run begins. `settings` are
    the NetworkConfig and TrainConfig values that were asked for, where `network` may be
    the function itself; the others are the run's own when it is resumed, and the
    defaults otherwise.

    Raises:
        ConfigError: the settings do not fit each other or the records.
        DataError: the records cannot be used.
        ReadError: no data service answers.
        RunError: the run folder is taken, missing, or of other settings.
    """
    old = run.load_config() if run and resume else None
    if data is None and old is not None:
        data = as_place(old.data)
    if data is None:
        raise ConfigError("a new run needs the folder of its records")
    if run and overwrite:
        run.require_ours()
    elif run and not resume:
        run.require_free()
    settings = _complete(settings, old)
    records = open_data(data, read=read_config(settings, old))
    function = settings.get("network")
    if callable(function):
        settings = {**settings, "network": name_of_function(function)}
    config = make_run_config(data, records, settings, old, data_service)
    if not callable(function):
        function = _find_network(config.network)
    records = records.decoded_as(config.train.decode)
    if run and old:
        require_same_settings(run, old, config)
    run = run or RunFolder(dated(RUNS))
    steps_per_epoch(records, config.train.batch_size)  # refuses too large a batch
    return TrainPlan(
        *(run, config, records, old, overwrite, checkpoint_minutes),
        function=function,
        data_service=data_service,
    )


def _complete(settings: dict[str, Any], old: RunConfig | None) -> dict[str, Any]:
    """The settings as `config.json` has them, with those of a run to start from.

    Raises:
        ConfigError: there is nothing to start from.
        RunError: it is a folder without a run.
    """
    settings = dict(settings)
    if settings.get("cache") is not None:
        settings["cache"] = str(Path(settings["cache"]).absolute())
    if "freeze" in settings:
        names = settings["freeze"]
        settings["freeze"] = (names,) if isinstance(names, str) else tuple(names)
    if settings.get("init_from") is None:
        return settings
    source = Path(settings["init_from"]).absolute()
    settings["init_from"] = str(source)
    return settings if old else settings_of_source(source, settings)


def _find_network(network: NetworkConfig) -> NetworkFunction | None:
    """Find the function of a network of the user's own, which the settings name.

    Raises:
        ConfigError: it has no name, or cannot be imported.
    """
    if network.network == SAVED_NETWORK:
        raise ConfigError(
            "the run's network was built by a function without a name. Go on with it in"
            " Python: give that function to `alexnet.fit` as `network`."
        )
    return find_function(network.network) if network.network else None


def read_config(settings: dict[str, Any], old: RunConfig | None = None) -> ReadConfig:
    """The settings that say where the shards of a set at a URL are kept."""
    names = ("cache", "cache_limit_bytes")
    asked = {name: settings[name] for name in names if name in settings}
    return replace(old.train if old else READ, **asked)


def make_run_config(
    data: Place,
    records: OpenedSet,
    settings: dict[str, Any],
    old: RunConfig | None,
    data_service: str | None = None,
) -> RunConfig:
    """The settings of a run that trains on `records`, or goes on from `old`.

    Raises:
        ConfigError: they do not fit each other or the records.
        RunError: `old` was trained on other records.
    """
    names = records.manifest.class_names
    if len(names) < 2:
        raise ConfigError(
            f"the records hold one class only ({names[0]}), and telling classes apart"
            " needs two or more. Build them from a source with several classes."
        )
    if old is not None:
        require_same_records(old, describe_data(data, records.manifest))
    network = _network_config(len(names), settings, old)
    given = _fields(TrainConfig, settings)
    # Made at once: the default rate is the optimizer's.
    train = replace(old.train, **given) if old else TrainConfig(**given)
    _require_side(records, network.image_size)
    _require_validation(records, train)
    make_image_sides(network, train)  # refuses sides that do not rise
    records = records.decoded_as(train.decode)
    # The order of an epoch is the reader's: a run keeps the one it began with.
    chosen = batch_reader(records, train.reader, data_service)
    if chosen.name != "photos":
        train = replace(train, reader=chosen.name)
    return RunConfig(
        **describe_data(data, records.manifest),
        network=network,
        augment=preset(train.augment),
        train=train,
        reader_reason=old.reader_reason if old else chosen.reason,
        initial=old.initial if old else None,
    )


def _network_config(
    num_classes: int, settings: dict[str, Any], old: RunConfig | None
) -> NetworkConfig:
    known = _fields(NetworkConfig, settings)
    if old is not None:
        return replace(old.network, **known)
    # Made at once: the default side is the variant's.
    return NetworkConfig(num_classes=num_classes, **known)


def _fields(config: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are fields of a config."""
    return {k: v for k, v in settings.items() if k in config.__dataclass_fields__}


def describe_data(place: Place, manifest: Manifest) -> dict[str, Any]:
    """The RunConfig fields that the records decide."""
    return {
        "data": str(place.absolute()),
        "class_names": manifest.class_names,
        "records_fingerprint": manifest.fingerprint,
        "storage": manifest.config.storage,
        "stored_side": manifest.config.side,
        "resize": manifest.config.resize,
    }


def _require_side(records: OpenedSet, image_size: int) -> None:
    side = records.manifest.config.side
    if side < image_size:
        raise ConfigError(
            f"the records in {records.place} hold {side} px squares; the network takes"
            f" {image_size} px. Build them with `side={image_size}` or more, or train"
            f" with `image_size={side}` or less."
        )


def _require_validation(records: OpenedSet, train: TrainConfig) -> None:
    if train.patience and not records.manifest.splits["validation"].num_examples:
        raise ConfigError(
            "`patience` waits for a better validation accuracy, and the records in"
            f" {records.place} hold no validation examples. Leave it out, or build"
            " them with a `validation_fraction` above 0."
        )
