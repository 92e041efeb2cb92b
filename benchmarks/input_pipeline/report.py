"""What `bench input-pipeline` reports: where an image's time goes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alexnet.benchmarks.input_pipeline import remarks
from alexnet.benchmarks.input_pipeline.diagnosis import bottleneck, verdict
from alexnet.benchmarks.input_pipeline.first_epoch import FirstPasses
from alexnet.benchmarks.input_pipeline.ladder import (
    Rung,
    added_microseconds,
    split_rungs,
)
from alexnet.benchmarks.input_pipeline.plan import BenchPlan
from alexnet.benchmarks.input_pipeline.shares import Share, shares
from alexnet.benchmarks.input_pipeline.shuffle_quality import ShuffleQuality
from alexnet.benchmarks.input_pipeline.situation import situation_of
from alexnet.benchmarks.input_pipeline.speedups import Prediction, predictions
from alexnet.benchmarks.rounds import Ratio, Round, medians, ratios
from alexnet.benchmarks.settings import BenchSettings, Host, read_host
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.versions import versions


@dataclass(frozen=True)
class Measured:
    """The figures of one run."""

    rungs: tuple[Rung, ...]
    limits: dict[str, float]
    rounds: Sequence[Round]
    passes: FirstPasses
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
    # Of the first pass over the train split; None where the page cache kept the shards.
    cold_images_per_second: float | None
    # Of the same pass once more.
    warm_images_per_second: float
    # This process's own while the last host rung ran; not the page cache's.
    resident_bytes: int
    shuffle_quality: ShuffleQuality
    bottleneck: str
    predictions: tuple[Prediction, ...]
    advice: str
    notes: tuple[str, ...]

    @property
    def images_per_second(self) -> float:
        """What the host delivers in batches, at the last rung before the device."""
        return split_rungs(self.rungs)[0][-1].images_per_second

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; `against` only where it was asked for."""
        values = asdict(self)
        values = {"data": self.data, **values.pop("settings"), **values}
        values["images_per_second"] = self.images_per_second
        added = added_microseconds(self.rungs)
        for rung, microseconds in zip(values["rungs"], added, strict=True):
            rung["added_microseconds"] = microseconds
        if not self.against:
            del values["against"], values["ratios"]
        return values


def make_report(plan: BenchPlan, found: Measured) -> BenchReport:
    """The figures, and what follows from them."""
    records, rungs, passes = plan.records, found.rungs, found.passes
    shared = shares(rungs, plan.limit_names, found.limits)
    now, whole = situation_of(plan), plan.host[-1].name
    delivered = split_rungs(rungs)[0][-1].images_per_second
    predicted = predictions(now, found.limits, delivered)
    against = _against(plan, found.rounds)
    ratio = ratios(found.rounds, whole) if found.rounds else {}
    cold = passes.cold.images_per_second if passes.cold else None
    warm = passes.warm.images_per_second
    sentences = [
        verdict(rungs, found.limits, shared, predicted, now),
        *remarks.of_peers(against, ratio, rungs),
        *remarks.of_cold_start(cold, warm),
        *remarks.of_shuffle(found.quality, now),
    ]
    return BenchReport(
        data=str(records.folder),
        settings=plan.settings,
        reader_reason=records.reader(plan.config.reader).reason,
        num_cpus=num_cpus(),
        host=read_host(),
        versions=versions(),
        rungs=rungs,
        limits=found.limits,
        shares=shared,
        against=against,
        ratios=ratio,
        first_batch_seconds=passes.warm.first_batch_seconds,
        cold_images_per_second=cold,
        warm_images_per_second=warm,
        resident_bytes=found.resident_bytes,
        shuffle_quality=found.quality,
        bottleneck=bottleneck(rungs, found.limits),
        predictions=predicted,
        advice=" ".join(sentences),
        notes=_notes(plan, passes),
    )


def _against(plan: BenchPlan, rounds: Sequence[Round]) -> dict[str, float]:
    middle = medians(rounds) if rounds else {}
    return {rival.name: middle[rival.name] for rival in plan.rivals}


def _notes(plan: BenchPlan, passes: FirstPasses) -> tuple[str, ...]:
    notes = [
        "`disk read` is the page cache's speed: the shards were read before.",
        "Resident memory is what this process holds itself (RssAnon); the pages of"
        " shards are the page cache's.",
    ]
    if passes.cold is None:
        notes.append(
            f"There is no cold figure: {passes.left:.0%} of the shards stayed in the"
            " page cache, because another process maps them or the file system keeps"
            " them."
        )
    if plan.rivals and plan.records.storage.is_pixels:
        notes.append("For rivals that read JPEG, pixels were encoded at quality 90.")
    return tuple(notes)
