"""The plan of `bench input-pipeline`: stages, limits and other loaders to time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import tensorflow as tf

from alexnet.benchmarks.config import BenchConfig, BenchSettings
from alexnet.benchmarks.input_pipeline.device_stages import (
    DeviceStage,
    make_augment,
    plan_alone,
    plan_device_stages,
)
from alexnet.benchmarks.input_pipeline.ladder import (
    DEVICE_STAGES,
    limit_names,
    plan_rungs,
)
from alexnet.benchmarks.input_pipeline.service import ONE_CORE, one_core
from alexnet.benchmarks.limits import plan_limits
from alexnet.benchmarks.loaders.loaders import plan_loader
from alexnet.benchmarks.measure import Timing
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.by_service import STAGE, batch_reader
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.stage import Stage
from alexnet.pipeline.remote.place import Place


@dataclass(frozen=True)
class BenchPlan:
    """The timings in their order, and the name of each host stage's limit."""

    records: OpenedRecords
    config: BenchConfig
    settings: BenchSettings
    stages: list[Stage]
    host: list[Timing]
    device: list[Timing]
    limits: list[Timing]
    limit_names: dict[str, str]
    loaders: list[Timing]

    @property
    def in_turn(self) -> list[Timing]:
        """The whole host pipeline, its limit and the loaders; empty without loaders."""
        if not self.loaders:
            return []
        whole = self.host[-1]
        limit = self.limit_names.get(whole.name, "")
        # For planes also the limit of RGB, whose name theirs begins with.
        limits = [timing for timing in self.limits if limit.startswith(timing.name)]
        return [whole, *limits, *self.loaders]


def settings_of(records: OpenedRecords, config: BenchConfig) -> BenchSettings:
    """The settings of a bench, whose precision is the one that is now in force.

    Raises:
        ConfigError: the records cannot be read in the way that was asked for.
        ReadError: no data service answers.
    """
    stored, service = records.manifest.config, config.data_service
    reader = batch_reader(records, config.reader, service)
    return BenchSettings(
        storage=stored.storage,
        side=stored.side,
        resize=stored.resize,
        quality=stored.quality if stored.storage == "jpeg" else None,
        reader=STAGE if service else reader.name,
        decode=config.decode,
        batch_size=config.batch_size,
        ram_budget_bytes=config.ram_budget_bytes,
        augment=config.augment,
        image_size=config.image_size,
        precision=tf.keras.mixed_precision.global_policy().name,
    )


def open_for_bench(
    data: Place, config: BenchConfig
) -> tuple[OpenedRecords, BenchConfig]:
    """The records, all of their train split here, and how they are then read.

    Raises:
        DataError: there is no finished record set.
        ConfigError: the cache has no room for it.
    """
    records = open_records(
        data,
        cache=config.cache,
        cache_limit=config.cache_limit_bytes,
        decode=config.decode,
    )
    if records.remote is None:
        return records, config
    if not records.remote.fits:
        raise ConfigError(
            f"{records.place} is larger than the room in its cache, and the bench reads"
            " from the cache. Choose a larger `cache_limit_bytes`, or another `cache`."
        )
    reader = records.reader(config.reader)
    records.bring("train")
    return records, replace(config, reader="mmap") if reader.streams_first else config


def plan_bench(
    data: Place, config: BenchConfig, train_step: DeviceStage | None = None
) -> BenchPlan:
    """Plan everything there is to time, checked before the first second is spent.

    A set at a URL is fetched first, and read as it is from the second epoch on.

    Raises:
        DataError: there is no finished record set, or it has no train split.
        ConfigError: a setting does not fit the records, or a package is missing.
    """
    records, config = open_for_bench(data, config)
    stored, batch_size = records.manifest.config, config.batch_size
    device = "/GPU:0" if tf.config.list_physical_devices("GPU") else None
    settings = settings_of(records, config)
    service = config.data_service
    stages = train_stages(records, config, device=device, data_service=service)
    rungs = plan_rungs(stages)
    copy = [timing for timing in rungs if timing.name in DEVICE_STAGES]
    on_device = {
        "augment": make_augment(
            [batch_size, *records.storage.image_shape(stored.side)],
            *(config.augment, config.image_size, config.seed),
        ),
        **({"train step": train_step} if train_step else {}),
    }
    last = list(on_device)[-1]
    return BenchPlan(
        records=records,
        config=config,
        settings=settings,
        stages=stages,
        host=[timing for timing in rungs if timing.name not in DEVICE_STAGES],
        device=[*copy, *plan_device_stages(stages, on_device)],
        limits=[
            *_plan_host_limits(records, config),
            plan_alone(stages, last, on_device[last]),
        ],
        # No limit of this machine holds for batches that others make.
        limit_names={} if service else limit_names(stages, records.storage),
        loaders=[plan_loader(name, records, batch_size) for name in config.against],
    )


def _plan_host_limits(records: OpenedRecords, config: BenchConfig) -> list[Timing]:
    """Plan the limits of this machine on the bytes, or of a data service's core."""
    if config.data_service is not None:
        return [Timing(ONE_CORE, lambda: one_core(records, config))]
    return plan_limits(records, config.batch_size)
