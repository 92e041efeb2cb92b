"""`records estimate`: what each storage of a source would take and give here.

Plan, execute, report: a few of its photos are built in every storage beside where the
records would go, read, and deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from alexnet.benchmarks.estimate.forecast import Forecast, advise, choose, feeds
from alexnet.benchmarks.estimate.sample_build import Trial, try_out
from alexnet.benchmarks.stopwatch import Progress, Stopwatch
from alexnet.pipeline.build.plan import BuildPlan, make_plan
from alexnet.pipeline.config import (
    BUILD,
    BuildConfig,
    Config,
    Resize,
    StorageName,
    require,
)
from alexnet.pipeline.machine import read_memory
from alexnet.pipeline.source.scan import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastConfig(Config):
    """Which records are meant, how many photos are tried, and what they are for."""

    side: int = BUILD.side
    resize: Resize = BUILD.resize
    quality: int = BUILD.quality
    sample: int = 300
    # For reading each storage, after a warm-up of half of it.
    seconds: float = 2.0
    # What the device takes, or whether to measure it here.
    train_images_per_second: float | None = None
    train_step: bool = False
    mixed_precision: bool = False

    def check(self) -> None:
        """Check the ranges, and that the train step is given or measured, not both."""
        demand = self.train_images_per_second
        require(self.sample >= 1, "sample", self.sample, "1 or more photos")
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")
        require(
            demand is None or demand > 0,
            "train_images_per_second",
            demand,
            "more than 0",
        )
        require(
            demand is None or not self.train_step,
            "train_step",
            self.train_step,
            "train_images_per_second left out: either is enough",
        )

    def builds(self) -> dict[StorageName, BuildConfig]:
        """The settings of every storage that there is at this side.

        Raises:
            ConfigError: one is out of range.
        """
        # Planes of half the side need an even one.
        names = [
            n for n in get_args(StorageName) if n != "yuv420" or self.side % 2 == 0
        ]
        same = BuildConfig(
            storage="raw", side=self.side, resize=self.resize, quality=self.quality
        )
        return {name: replace(same, storage=name) for name in names}


@dataclass(frozen=True)
class RecordsPlan:
    """What to try out, where, and what there is room for."""

    path: Path
    source: Source
    sample: Source
    # On the disk that the records would be on.
    folder: Path
    free_bytes: int
    memory_bytes: int | None
    builds: dict[StorageName, BuildConfig]
    wholes: dict[StorageName, BuildPlan]
    config: ForecastConfig


@dataclass(frozen=True)
class RecordsPlanReport:
    """What every storage is predicted to be, and which one to build."""

    source: str
    num_images: int
    sample: int
    # Of the sample.
    num_bad: int
    side: int
    train_images_per_second: float | None
    free_bytes: int
    memory_bytes: int | None
    storages: Mapping[StorageName, Forecast]

    @property
    def choice(self) -> StorageName | None:
        """The storage to build; None where none fits the disk."""
        return choose(self.storages)

    @property
    def advice(self) -> str:
        """What to build, and why."""
        return advise(self.storages, self.train_images_per_second, self.free_bytes)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, with what follows from them."""
        return {**asdict(self), "choice": self.choice, "advice": self.advice}


def run_records_plan(
    path: Path,
    source: Source,
    out: Path,
    config: ForecastConfig,
    progress: Progress = lambda name, done, total: None,
) -> RecordsPlanReport:
    """Predict the record sets of the `source` at `path`, were they built at `out`.

    Raises:
        DataError: its photos cannot be used, or there is no room to try them.
        ConfigError: a setting is out of range.
    """
    plan = plan_records(path, source, out, config)
    return make_report(plan, *execute(plan, progress))


def plan_records(
    path: Path, source: Source, out: Path, config: ForecastConfig
) -> RecordsPlan:
    """What to try out, of the photos that come first in a build's order.

    Raises:
        ConfigError: a setting is out of range.
    """
    builds, names = config.builds(), source.class_names
    wholes = {k: make_plan(source.files, names, v) for k, v in builds.items()}
    # The order is a hash's, so that its beginning is as good as any sample.
    together = BuildConfig(validation_fraction=0, shards=1)
    (shard,) = make_plan(source.files, names, together).shards
    sample = replace(source, files=shard.files[: config.sample])
    folder = next(p for p in (out, *out.absolute().parents) if p.is_dir())
    return RecordsPlan(
        path=path,
        source=source,
        sample=sample,
        folder=folder,
        free_bytes=shutil.disk_usage(folder).free,
        memory_bytes=_memory_bytes(),
        builds=builds,
        wholes=wholes,
        config=config,
    )


def _memory_bytes() -> int | None:
    """What the page cache could take, or None where it is not known."""
    memory = read_memory()
    return min(memory.available_bytes, memory.usable_bytes) if memory else None


def execute(
    plan: RecordsPlan, progress: Progress
) -> tuple[dict[StorageName, Trial], float | None]:
    """Try one storage after the other, then the train step if that is asked for."""
    config = plan.config
    total = 2 * len(plan.builds) + config.train_step
    stopwatch = Stopwatch(config.seconds, total, progress)
    trials = {
        name: _try_one(name, build, plan, stopwatch)
        for name, build in plan.builds.items()
    }
    demand = config.train_images_per_second
    if config.train_step:
        demand = _measure_step(plan, stopwatch)
    stopwatch.announce("done")
    return trials, demand


def _try_one(
    name: StorageName, build: BuildConfig, plan: RecordsPlan, stopwatch: Stopwatch
) -> Trial:
    with TemporaryDirectory(prefix=".alexnet-plan-", dir=plan.folder) as folder:
        whole, memory = plan.wholes[name], plan.memory_bytes
        return try_out(build, whole, plan.sample, Path(folder), memory, stopwatch)


def _measure_step(plan: RecordsPlan, stopwatch: Stopwatch) -> float:
    """Images a second that the train step takes on this machine."""
    from alexnet.benchmarks.train_step import TrainStepConfig, plan_train_step

    config = TrainStepConfig(
        num_classes=max(2, len(plan.source.class_names)),
        mixed_precision=plan.config.mixed_precision,
    )
    return stopwatch.time(plan_train_step(config).step).images_per_second


def make_report(
    plan: RecordsPlan, trials: Mapping[StorageName, Trial], demand: float | None
) -> RecordsPlanReport:
    """The trials, extrapolated to the whole source."""
    return RecordsPlanReport(
        source=str(plan.path),
        num_images=len(plan.source.files),
        sample=len(plan.sample.files),
        num_bad=max(trial.num_bad for trial in trials.values()),
        side=plan.config.side,
        train_images_per_second=demand,
        free_bytes=plan.free_bytes,
        memory_bytes=plan.memory_bytes,
        storages={n: _forecast(trial, plan, demand) for n, trial in trials.items()},
    )


def _forecast(trial: Trial, plan: RecordsPlan, demand: float | None) -> Forecast:
    size, warm, memory = trial.size, trial.warm, plan.memory_bytes
    rate = min(warm.images_per_second, trial.cold_images_per_second or float("inf"))
    return Forecast(
        bytes=round(size.num_bytes),
        bytes_error=round(size.error_bytes),
        bytes_per_image=size.num_bytes / len(plan.source.files),
        images_per_second=rate,
        spread=warm.spread,
        build_seconds=trial.build_seconds,
        in_memory=memory is None or size.num_bytes <= memory,
        fits_disk=size.num_bytes <= plan.free_bytes,
        fed=feeds(rate, demand),
    )
