"""What `bench input-pipeline` times: stages, consumers, limits and rivals, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from alexnet.benchmarks.input_pipeline.device_stages import (
    Consumer,
    make_augment,
    plan_alone,
    plan_consumers,
)
from alexnet.benchmarks.input_pipeline.ladder import DEVICE_STAGES, climb
from alexnet.benchmarks.input_pipeline.shares import limit_of
from alexnet.benchmarks.limits import plan_limits
from alexnet.benchmarks.loaders.loaders import plan_rival, require_rivals
from alexnet.benchmarks.measure import Timing
from alexnet.benchmarks.settings import BenchSettings
from alexnet.model.config import NETWORK, TRAIN
from alexnet.pipeline.config import Preset, ReadConfig, require
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.stage import Stage, compose


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig(ReadConfig):
    """What is measured, and for how long."""

    # For each rung, limit and turn of a rival, after a warm-up of half of it.
    seconds: float = 5.0
    against: tuple[str, ...] = ()
    augment: Preset = TRAIN.augment
    image_size: int = NETWORK.image_size

    def check(self) -> None:
        """Check the ranges, and that what is measured against is there."""
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")
        require(self.image_size >= 1, "image_size", self.image_size, "1 or more")
        require_rivals(self.against)


@dataclass(frozen=True)
class BenchPlan:
    """What to time, in order, and the name of each host stage's limit."""

    records: OpenedRecords
    config: BenchConfig
    settings: BenchSettings
    stages: list[Stage]
    host: list[Timing]
    device: list[Timing]
    limits: list[Timing]
    limit_names: dict[str, str]
    rivals: list[Timing]

    @property
    def in_turn(self) -> list[Timing]:
        """The whole host pipeline, its limit, and the rivals; empty without rivals."""
        if not self.rivals:
            return []
        whole = self.host[-1]
        limit = self.limit_names[whole.name]
        return [whole, *(t for t in self.limits if t.name == limit), *self.rivals]


def settings_of(records: OpenedRecords, config: BenchConfig) -> BenchSettings:
    """The settings of a bench, whose precision is the one that is now in force.

    Raises:
        ConfigError: the records cannot be read in the way that was asked for.
    """
    stored = records.manifest.config
    return BenchSettings(
        storage=stored.storage,
        side=stored.side,
        resize=stored.resize,
        quality=stored.quality if stored.storage == "jpeg" else None,
        reader=records.reader(config.reader).name,
        batch_size=config.batch_size,
        ram_budget_bytes=config.ram_budget_bytes,
        augment=config.augment,
        image_size=config.image_size,
        precision=tf.keras.mixed_precision.global_policy().name,
    )


def plan_bench(
    data: Path, config: BenchConfig, train_step: Consumer | None = None
) -> BenchPlan:
    """Everything there is to time, checked before the first second is spent.

    Raises:
        DataError: there is no finished record set, or it has no train split.
        ConfigError: a setting does not fit the records, or a package is missing.
    """
    records = open_records(data)
    device = "/GPU:0" if tf.config.list_physical_devices("GPU") else None
    stages = train_stages(records, config, device=device)
    rungs = climb(stages)
    consumers = _consumers(records, config, train_step)
    copied = [timing for timing in rungs if timing.name in DEVICE_STAGES]
    return BenchPlan(
        records=records,
        config=config,
        settings=settings_of(records, config),
        stages=stages,
        host=[timing for timing in rungs if timing.name not in DEVICE_STAGES],
        device=[*copied, *plan_consumers(stages, consumers)],
        limits=[
            *plan_limits(records, config.batch_size),
            plan_alone(stages, *list(consumers.items())[-1]),
        ],
        limit_names=_limit_names(stages, records),
        rivals=[
            plan_rival(name, records, config.batch_size) for name in config.against
        ],
    )


def _consumers(
    records: OpenedRecords, config: BenchConfig, train_step: Consumer | None
) -> dict[str, Consumer]:
    augment = make_augment(
        records.manifest.config,
        config.batch_size,
        config.augment,
        config.image_size,
        config.seed,
    )
    return {"augment": augment} | ({"train step": train_step} if train_step else {})


def _limit_names(stages: list[Stage], records: OpenedRecords) -> dict[str, str]:
    names = {
        stage.name: limit_of(compose(stages[:count]).element_spec, records.storage)
        for count, stage in enumerate(stages, 1)
    }
    return {stage: name for stage, name in names.items() if name}
