"""`records estimate`: size, build time and reading speed of every storage, predicted.

Plan, execute, report: a few of the source's photos are built in every storage beside
where the records would go, here or on Beam's workers, read here, and deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alexnet.benchmarks.config import EstimateConfig
from alexnet.benchmarks.estimate_plan import EstimatePlan, plan_estimate
from alexnet.benchmarks.measure import Progress, Stopwatch
from alexnet.benchmarks.sample_build import SampleBuild, measure_sample
from alexnet.benchmarks.sample_pace import Pace, SampleJob, build_on_beam
from alexnet.benchmarks.storage_choice import ENOUGH, Estimate, advise, choose
from alexnet.pipeline.beam.options import require_beam
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.scan import Source


@dataclass(frozen=True)
class EstimateReport:
    """The estimate of every storage, and the one to build."""

    source: str
    num_images: int
    sample: int
    # Of the sample.
    num_bad: int
    side: int
    workers: int
    train_images_per_second: float | None
    free_bytes: int
    memory_bytes: int | None
    storages: Mapping[StorageName, Estimate]

    @property
    def choice(self) -> StorageName | None:
        """The storage to build; None where none fits the disk."""
        return choose(self.storages)

    @property
    def advice(self) -> str:
        """The storage to build and the reason, in a sentence or two."""
        return advise(self.storages, self.train_images_per_second, self.free_bytes)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, with what follows from them."""
        return {**asdict(self), "choice": self.choice, "advice": self.advice}


def run_estimate(
    path: Place,
    source: Source,
    out: Path,
    config: EstimateConfig,
    progress: Progress = lambda name, done, total: None,
    *,
    beam: Sequence[str] | None = None,
) -> EstimateReport:
    """Predict the record sets of the `source` at `path`, were they built at `out`.

    Args:
        beam: options of an Apache Beam pipeline that is to build the sample; its
            workers must see the photos and `out` under their paths. None: this
            machine's processes build it.

    Raises:
        DataError: its photos cannot be used, or there is no room to try them.
        ConfigError: a setting is out of range, or Apache Beam is asked for and not
            installed.
    """
    if beam is not None:
        require_beam()
    plan = plan_estimate(path, source, out, config, beam)
    return make_report(plan, *execute(plan, progress))


def execute(
    plan: EstimatePlan, progress: Progress
) -> tuple[dict[StorageName, SampleBuild], float | None]:
    """Try one storage after the other, then the train step if that is asked for."""
    config, samples = plan.config, {}
    total = 2 * len(plan.builds) + config.train_step
    stopwatch = Stopwatch(config.seconds, total, progress)
    with TemporaryDirectory(prefix=".alexnet-plan-", dir=plan.folder) as name:
        folder = Path(name).absolute()
        for storage, pace in _paces(plan, folder, stopwatch):
            samples[storage] = measure_sample(
                plan.builds[storage][1],
                plan.sample,
                folder / storage,
                pace,
                plan.memory_bytes,
                stopwatch,
            )
            shutil.rmtree(folder / storage)
    demand = config.train_images_per_second
    if config.train_step:
        demand = _measure_step(plan, stopwatch)
    stopwatch.announce("done")
    return samples, demand


def _paces(
    plan: EstimatePlan, folder: Path, stopwatch: Stopwatch
) -> Iterator[tuple[StorageName, Pace]]:
    """Yield the storages, each with the pace of its build, when the sample is built."""
    builds = {storage: build for storage, (build, _) in plan.builds.items()}
    job = SampleJob(plan.sample, folder, builds, plan.workers)
    if plan.beam is None:
        for storage in builds:
            stopwatch.announce(f"build {storage}")
            yield storage, job.build(storage)
        return
    for storage in builds:
        stopwatch.announce(f"build {storage}")
    yield from build_on_beam(job, plan.beam)


def _measure_step(plan: EstimatePlan, stopwatch: Stopwatch) -> float:
    """Images a second that the train step takes on this machine."""
    from alexnet.benchmarks.train_step import TrainStepConfig, plan_train_step

    config = TrainStepConfig(
        num_classes=max(2, len(plan.source.class_names)),
        mixed_precision=plan.config.mixed_precision,
    )
    return stopwatch.time(plan_train_step(config).step).images_per_second


def make_report(
    plan: EstimatePlan, samples: Mapping[StorageName, SampleBuild], demand: float | None
) -> EstimateReport:
    """The sample builds, extrapolated to the whole source."""
    return EstimateReport(
        source=str(plan.path),
        num_images=len(plan.source.files),
        sample=len(plan.sample.files),
        num_bad=max(sample.num_bad for sample in samples.values()),
        side=plan.config.side,
        workers=plan.workers,
        train_images_per_second=demand,
        free_bytes=plan.free_bytes,
        memory_bytes=plan.memory_bytes,
        storages={n: _estimate(sample, plan, demand) for n, sample in samples.items()},
    )


def _estimate(
    sample: SampleBuild, plan: EstimatePlan, demand: float | None
) -> Estimate:
    size, memory = sample.size, plan.memory_bytes
    cold = sample.cold_images_per_second or float("inf")
    rate = min(sample.warm.images_per_second, cold)
    return Estimate(
        bytes=round(size.num_bytes),
        bytes_error=round(size.error_bytes),
        bytes_per_image=size.num_bytes / len(plan.source.files),
        images_per_second=rate,
        spread=sample.warm.spread,
        build_seconds=sample.build_seconds,
        in_memory=memory is None or size.num_bytes <= memory,
        fits_disk=size.num_bytes <= plan.free_bytes,
        fed=None if demand is None else rate >= ENOUGH * demand,
    )
