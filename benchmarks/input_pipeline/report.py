"""The report of `bench input-pipeline`: where an image's time goes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alexnet.benchmarks.config import BenchSettings
from alexnet.benchmarks.input_pipeline.advice import situation_of
from alexnet.benchmarks.input_pipeline.diagnosis import (
    bottleneck,
    check_cold_start,
    check_shuffle,
    describe_bottleneck,
    describe_loaders,
)
from alexnet.benchmarks.input_pipeline.first_epoch import FirstEpochs
from alexnet.benchmarks.input_pipeline.ladder import (
    Rung,
    Share,
    added_microseconds,
    alone,
    delivered,
    shares,
)
from alexnet.benchmarks.input_pipeline.plan import BenchPlan
from alexnet.benchmarks.input_pipeline.service import (
    ONE_CORE,
    ServiceNeed,
    service_need,
)
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.input_pipeline.speedups import Speedup, predict_speedups
from alexnet.benchmarks.machine import Host, read_host
from alexnet.benchmarks.rounds import Ratio, Round, medians, ratios
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.versions import versions


@dataclass(frozen=True)
class Measured:
    """The figures of one run."""

    rungs: tuple[Rung, ...]
    limits: dict[str, float]
    rounds: Sequence[Round]
    first_epochs: FirstEpochs
    resident_bytes: int
    quality: ShuffleQuality


@dataclass(frozen=True)
class BenchReport:
    """The figures of one run, and what they say."""

    data: str
    settings: BenchSettings
    reader_reason: str
    num_cpus: int
    host: Host
    versions: dict[str, str]
    rungs: tuple[Rung, ...]
    limits: dict[str, float]
    shares: dict[str, Share]
    against: dict[str, float]
    ratios: dict[str, Ratio]
    first_batch_seconds: float
    # Of the first epoch; None where the page cache kept the shards.
    cold_images_per_second: float | None
    # Of the same epoch once more.
    warm_images_per_second: float
    # This process's own while the last host rung ran; not the page cache's.
    resident_bytes: int
    shuffle_quality: ShuffleQuality
    bottleneck: str
    predictions: tuple[Speedup, ...]
    advice: str
    notes: tuple[str, ...]
    # Where a data service made the batches.
    data_service: ServiceNeed | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; nothing that was not asked for."""
        values = asdict(self)
        values = {"data": self.data, **values.pop("settings"), **values}
        values["images_per_second"] = delivered(self.rungs)
        added = added_microseconds(self.rungs)
        for rung, microseconds in zip(values["rungs"], added, strict=True):
            rung["added_microseconds"] = microseconds
        if not self.against:
            del values["against"], values["ratios"]
        if not self.data_service:
            del values["data_service"]
        return values


def make_report(plan: BenchPlan, measured: Measured) -> BenchReport:
    """The figures, and what follows from them."""
    rungs, limits, rounds = measured.rungs, measured.limits, measured.rounds
    now, reached = situation_of(plan), shares(rungs, plan.limit_names, limits)
    speedups = predict_speedups(now, limits, delivered(rungs))
    medians_in_turn = medians(rounds) if rounds else {}
    against = {loader.name: medians_in_turn[loader.name] for loader in plan.loaders}
    ours = ratios(rounds, plan.host[-1].name) if rounds else {}
    first, warm = measured.first_epochs.cold, measured.first_epochs.warm
    cold = first.images_per_second if first else None
    need, demand = _service_need(plan, rungs, limits), limits[alone(rungs[-1].stage)]
    sentences = [
        describe_bottleneck(rungs, limits, reached, speedups, now),
        *([need.describe(demand)] if need else []),
        *describe_loaders(against, ours, rungs),
        *check_cold_start(cold, warm.images_per_second),
        *check_shuffle(measured.quality, now),
    ]
    return BenchReport(
        data=str(plan.records.place),
        settings=plan.settings,
        reader_reason=_reader_reason(plan),
        num_cpus=num_cpus(),
        host=read_host(),
        versions=versions(),
        rungs=rungs,
        limits=limits,
        shares=reached,
        against=against,
        ratios=ours,
        first_batch_seconds=warm.first_batch_seconds,
        cold_images_per_second=cold,
        warm_images_per_second=warm.images_per_second,
        resident_bytes=measured.resident_bytes,
        shuffle_quality=measured.quality,
        bottleneck=bottleneck(rungs, limits),
        predictions=speedups,
        advice=" ".join(sentences),
        notes=_notes(plan, measured.first_epochs),
        data_service=need,
    )


def _reader_reason(plan: BenchPlan) -> str:
    if plan.config.data_service:
        return plan.config.data_service
    return plan.records.reader(plan.config.reader).reason


def _service_need(
    plan: BenchPlan, rungs: Sequence[Rung], limits: dict[str, float]
) -> ServiceNeed | None:
    address, records = plan.config.data_service, plan.records
    if address is None:
        return None
    image_bytes = records.storage.pixel_bytes(records.manifest.config.side)
    demand = limits[alone(rungs[-1].stage)]
    return service_need(address, limits[ONE_CORE], demand, image_bytes)


def _notes(plan: BenchPlan, first_epochs: FirstEpochs) -> tuple[str, ...]:
    own, others = (
        "`disk read` is the page cache's speed: the shards were read before.",
        f"`{ONE_CORE}` is one of this machine's, which the trainer was busy beside.",
    )
    notes = [
        others if plan.config.data_service else own,
        "Resident memory is what this process holds itself (RssAnon); the pages of"
        " shards are the page cache's.",
    ]
    if first_epochs.cold is None:
        notes.append(
            f"There is no cold figure: {first_epochs.left:.0%} of the shards stayed in"
            " the page cache, because another process maps them or the file system"
            " keeps them."
        )
    if plan.loaders and plan.records.storage.is_pixels:
        notes.append("For loaders that read JPEG, pixels were encoded at quality 90.")
    return tuple(notes)
