"""The settings of a run, as its `config.json` holds them."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.pipeline.config import (
    ORDER_VERSION,
    AugmentConfig,
    BuildConfig,
    Resize,
    StorageName,
)
from alexnet.pipeline.config_json import require_kinds
from alexnet.pipeline.files import name_some
from alexnet.pipeline.setting import require
from alexnet.pipeline.versions import versions

FORMAT = 1


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """A note of the weights that a run took over from `init_from`."""

    # SHA-256 of the weights there.
    fingerprint: str
    # Layers that were for other classes, and began anew.
    fresh_layers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Everything that decides a run's numbers, and where its records are."""

    data: str
    class_names: tuple[str, ...]
    records_fingerprint: str
    storage: StorageName
    stored_side: int
    resize: Resize
    network: NetworkConfig
    augment: AugmentConfig
    train: TrainConfig
    # Why the records are read by `train.reader`.
    reader_reason: str
    # Known when the run has begun.
    initial: InitialWeights | None = None
    # Version of the rule by which the seed decides the epochs' order.
    order_version: int = ORDER_VERSION

    def __post_init__(self) -> None:
        BuildConfig(
            storage=self.storage, side=self.stored_side, resize=self.resize
        )  # refuses what cannot be
        require(_is_path(self.data), "data", self.data, "a path")
        names, network = self.class_names, self.network
        distinct = len(set(names)) == network.num_classes == len(names)
        needs = f"{network.num_classes} names"
        require(distinct, "class_names", name_some(names), needs)
        fits = network.image_size <= self.stored_side
        side = f"the records' {self.stored_side} px or less"
        require(fits, "image_size", network.image_size, side)

    def to_json(self) -> dict[str, Any]:
        """The settings and the versions that made the run."""
        return {"format": FORMAT, **asdict(self), "versions": versions()}


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
    initial = values.get("initial")
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
        initial=None
        if initial is None
        else InitialWeights(initial["fingerprint"], tuple(initial["fresh_layers"])),
        # The first version left no mark.
        order_version=values.get("order_version", 1),
    )
