"""The plan of a run: settings that fit each other, the records and the run folder.

What `fit` checks before it touches a device or writes a file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
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
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import READ, ReadConfig, require
from alexnet.pipeline.errors import ConfigError, RunError
from alexnet.pipeline.files import name_some
from alexnet.pipeline.read.dataset import steps_per_epoch
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.records.manifest import Manifest
from alexnet.pipeline.remote.place import Place, as_place

# Where runs go that are given no folder.
RUNS = Path("runs")


@dataclass(frozen=True)
class TrainPlan:
    """A run that can be executed: settings that fit the records and the folder."""

    run: RunFolder
    config: RunConfig
    records: OpenedSet
    # What the run that is resumed was to be so far.
    former: RunConfig | None = None
    overwrite: bool = False
    checkpoint_minutes: float = CHECKPOINT_MINUTES
    # Builds a network of the user's own.
    function: NetworkFunction | None = None

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
) -> TrainPlan:
    """The plan of a run on the records in `data`; None is where a resumed run's are.

    Without `run` it is runs/<date-time>, to be made when the run begins. `settings` are
    the NetworkConfig and TrainConfig values that were asked for, where `network` may be
    the function itself; the others are the run's own when it is resumed, and the
    defaults otherwise.

    Raises:
        ConfigError: the settings do not fit each other or the records.
        DataError: the records cannot be used.
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
    config = make_run_config(data, records, settings, old)
    if not callable(function):
        function = _find_network(config.network)
    if run and old:
        require_same_settings(run, old, config)
    run = run or RunFolder(dated(RUNS))
    steps_per_epoch(records, config.train.batch_size)  # refuses too large a batch
    return TrainPlan(run, config, records, old, overwrite, checkpoint_minutes, function)


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
    data: Place, records: OpenedSet, settings: dict[str, Any], old: RunConfig | None
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
        _require_same_records(old, describe_data(data, records.manifest))
    network = _network_config(len(names), settings, old)
    train = replace(
        old.train if old else TrainConfig(), **_fields(TrainConfig, settings)
    )
    _require_side(records, network.image_size)
    _require_validation(records, train)
    make_image_sides(network, train)  # refuses sides that do not rise
    # The order of an epoch is the reader's: a run keeps the one it began with.
    chosen = records.reader(train.reader)
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


def _require_same_records(old: RunConfig, found: dict[str, Any]) -> None:
    """Check that the records are those of the run.

    Raises:
        RunError: they are others.
    """
    if found["records_fingerprint"] == old.records_fingerprint:
        return
    raise RunError(
        f"these are other records than the run's: {found['data']}"
        f" {_other_records(old, found)}. Put the run's own back, or name the folder"
        " where they are; to train on these, start another `run`."
    )


def _other_records(old: RunConfig, found: dict[str, Any]) -> str:
    """What tells records from those of a run, as the rest of a sentence."""
    own, names = old.class_names, found["class_names"]
    lost = [name for name in own if name not in set(names)]
    more = [name for name in names if name not in set(own)]
    if lost or more:
        parts = [("lacks the class", lost), ("adds the class", more)]
        return " and ".join(
            f"{verb}{'es' * (len(which) > 1)} {name_some(which)}"
            for verb, which in parts
            if which
        )
    options = {"storage": "storage", "stored_side": "side", "resize": "resize"}
    differences = [
        f"`{option}={found[name]!r}` instead of {getattr(old, name)}"
        for name, option in options.items()
        if found[name] != getattr(old, name)
    ]
    if differences:
        return f"was built with {', '.join(differences)}"
    return "holds other photos, or was built with another seed or split"


def require_same_settings(run: RunFolder, old: RunConfig, new: RunConfig) -> None:
    """Check that `new` goes on with `old`: epochs may grow, patience may change.

    So may the cache, which is a machine's.

    Raises:
        RunError: anything else differs; the message lists it.
    """
    if old.order_version != new.order_version:
        raise RunError(
            f"{run.path} was begun by an alexnet that gives epochs another order"
            f" (version {old.order_version} of it, here {new.order_version}): an epoch"
            " that goes on here would have some examples twice and others never. Go on"
            " with the alexnet that began it, or start another `run`."
        )
    names = ("epochs", "patience", "cache", "cache_limit_bytes")
    same = replace(new.train, **{name: getattr(old.train, name) for name in names})
    differences = list_differences(asdict(old), asdict(replace(new, train=same)))
    if new.train.epochs < old.train.epochs:
        differences.append(f"epochs {old.train.epochs} -> {new.train.epochs}")
    if differences:
        raise RunError(
            f"{run.path} was trained with other settings: {'; '.join(differences)}."
            " Leave them out to resume with the run's own, or start another `run`."
        )


def list_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The settings that differ, `name old -> new`, but for where the records lie."""
    found = []
    for name, value in old.items():
        if isinstance(value, dict) and isinstance(new[name], dict):
            found += list_differences(value, new[name])
        elif value != new[name] and name != "data":
            found.append(f"{name} {value} -> {new[name]}")
    return found


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
