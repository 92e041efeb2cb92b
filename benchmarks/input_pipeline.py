"""`bench input-pipeline`: times the ladder, the limits and the article in one run.

Plan, execute, report: what to time is a list of named timings, each is measured in
turn by the same clock, and the report says where an image's time goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.article import plan_article
from benchmarks.diagnosis import advice, bottleneck, split_rungs
from benchmarks.ladder import Rung, added_microseconds, climb
from benchmarks.limits import plan_limits
from benchmarks.measure import (
    Deliveries,
    Measurement,
    Timing,
    deliver,
    measure,
    wait_for_devices,
)
from pipeline.augment import HOST, fold, train_view
from pipeline.config import Config, ReadConfig, Storage, require
from pipeline.dataset import Stage, compose, train_stages
from pipeline.presets import preset
from pipeline.reader import RecordSet, open_records
from pipeline.workers import num_cpus

# Called with what is timed next, how many timings are done, and how many there are.
Progress = Callable[[str, int, int], None]
# Given uint8 [batch, side, side, 3] and int64 [batch] labels, as the pipeline yields.
TrainStep = Callable[[tf.Tensor, tf.Tensor], Any]


@dataclass(frozen=True)
class BenchConfig(Config):
    """What is measured, and for how long."""

    # For each rung, limit and peer, after a warm-up of half of it.
    seconds: float = 5.0
    batch_size: int = 128
    against: str | None = None
    augment: str = "article"
    image_size: int = 227
    seed: int = 21
    ram_budget_bytes: int = 4 * 2**30

    def __post_init__(self) -> None:
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")
        require(self.image_size >= 1, "image_size", self.image_size, "1 or more")
        require(self.against in (None, "article"), "against", self.against, "article")


@dataclass(frozen=True)
class BenchPlan:
    """What to time, in order."""

    data: Path
    storage: Storage
    rungs: list[Timing]
    limits: list[Timing]
    against: list[Timing]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BenchReport:
    """Where an image's time goes on this machine."""

    data: str
    storage: Storage
    reader: str
    batch_size: int
    num_cpus: int
    rungs: tuple[Rung, ...]
    limits: dict[str, float]
    against: dict[str, float]
    bottleneck: str
    advice: str
    notes: tuple[str, ...]

    @property
    def images_per_second(self) -> float:
        """What the host delivers in batches, at the last rung before the device."""
        return split_rungs(self.rungs)[0][-1].images_per_second

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; `against` only where it was asked for."""
        values = {**asdict(self), "images_per_second": self.images_per_second}
        added = added_microseconds(self.rungs)
        for rung, microseconds in zip(values["rungs"], added, strict=True):
            rung["added_microseconds"] = microseconds
        if not self.against:
            del values["against"]
        return values


def run_bench(
    data: Path,
    config: BenchConfig,
    progress: Progress = lambda name, done, total: None,
    train_step: TrainStep | None = None,
) -> BenchReport:
    """Time the input pipeline of the record set in `data`.

    Args:
        train_step: the last rung, which augments for itself.

    Raises:
        DataError: there is no finished record set, or it has no train split.
        ConfigError: a setting does not fit the records, or a package is missing.
    """
    return execute(plan_bench(data, config, train_step), config, progress)


def plan_bench(
    data: Path, config: BenchConfig, train_step: TrainStep | None = None
) -> BenchPlan:
    """Everything there is to time, checked before the first second is spent.

    Raises:
        DataError: there is no finished record set, or it has no train split.
        ConfigError: a setting does not fit the records, or a package is missing.
    """
    records = open_records(data)
    storage = records.manifest.config.storage
    return BenchPlan(
        data=data,
        storage=storage,
        rungs=_plan_rungs(records, config, train_step),
        limits=plan_limits(records, config.batch_size),
        against=[plan_article(records)] if config.against else [],
        notes=_notes(storage, config),
    )


def execute(plan: BenchPlan, config: BenchConfig, progress: Progress) -> BenchReport:
    """Measure one timing after the other; each is gone before the next starts."""
    done, total = 0, len(plan.rungs) + len(plan.limits) + len(plan.against)

    def timed(timing: Timing) -> Measurement:
        nonlocal done
        progress(timing.name, done, total)
        measured = measure(timing.start(), config.seconds, wait_for_devices)
        done += 1
        return measured

    rungs = tuple(Rung(item.name, **asdict(timed(item))) for item in plan.rungs)
    limits = {item.name: timed(item).images_per_second for item in plan.limits}
    against = {item.name: timed(item).images_per_second for item in plan.against}
    progress("done", done, total)
    return BenchReport(
        data=str(plan.data),
        storage=plan.storage,
        reader="stream",
        batch_size=config.batch_size,
        num_cpus=num_cpus(),
        rungs=rungs,
        limits=limits,
        against=against,
        bottleneck=bottleneck(rungs),
        advice=advice(rungs, limits, against, plan.storage),
        notes=plan.notes,
    )


def _plan_rungs(
    records: RecordSet, config: BenchConfig, train_step: TrainStep | None
) -> list[Timing]:
    """The pipeline's stages, then what consumes their batches on the device."""
    read = ReadConfig(
        batch_size=config.batch_size,
        seed=config.seed,
        ram_budget_bytes=config.ram_budget_bytes,
    )
    device = "/GPU:0" if tf.config.list_physical_devices("GPU") else None
    stages = train_stages(records, read, device=device)
    consumers = {"augment": _augment(records.manifest.config.side, config)}
    if train_step:
        consumers["train step"] = train_step
    return climb(stages, config.batch_size) + [
        Timing(name, partial(_deliver_batches, stages, config.batch_size, consume))
        for name, consume in consumers.items()
    ]


def _deliver_batches(
    stages: list[Stage], batch_size: int, consume: TrainStep
) -> Deliveries:
    return deliver(compose(stages), batch_size, consume)


def _augment(side: int, config: BenchConfig) -> TrainStep:
    """The augmentation of a batch, traced here so that a wrong setting shows early."""
    settings, rows = preset(config.augment), config.batch_size
    with tf.device(HOST):
        step = tf.Variable(0, dtype=tf.int64)

    @tf.function(
        input_signature=[
            tf.TensorSpec([rows, side, side, 3], tf.uint8),
            tf.TensorSpec([rows], tf.int64),
        ]
    )
    def augment(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        seed = fold(config.seed, step.assign_add(1))
        return train_view(images, settings, config.image_size, seed, 0, rows)

    augment.get_concrete_function()
    return augment


def _notes(storage: Storage, config: BenchConfig) -> tuple[str, ...]:
    notes = ["`disk read` is the page cache's speed where the shards were read before."]
    if config.against and storage == "raw":
        notes.append("Raw records were encoded as JPEG of quality 90 for the article.")
    return tuple(notes)
