"""What `bench input-pipeline` reports: where an image's time goes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import remarks
from benchmarks.diagnosis import bottleneck, verdict
from benchmarks.first_pass import FirstPasses
from benchmarks.ladder import Rung, added_microseconds, split_rungs
from benchmarks.plan import BenchPlan
from benchmarks.prediction import Prediction, Situation, predictions
from benchmarks.rounds import Ratio, Round, medians, ratios
from benchmarks.shares import Share, shares
from benchmarks.shuffle_quality import ShuffleQuality
from pipeline.config import Storage
from pipeline.machine import num_cpus, read_memory
from pipeline.reader import choose_reader


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
    storage: Storage
    reader: str
    reader_reason: str
    batch_size: int
    num_cpus: int
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
        values = {**asdict(self), "images_per_second": self.images_per_second}
        added = added_microseconds(self.rungs)
        for rung, microseconds in zip(values["rungs"], added, strict=True):
            rung["added_microseconds"] = microseconds
        if not self.against:
            del values["against"], values["ratios"]
        return values


def make_report(plan: BenchPlan, found: Measured) -> BenchReport:
    """The figures, and what follows from them."""
    records, rungs, passes = plan.records, found.rungs, found.passes
    choice = choose_reader(records, plan.config.reader)
    shared = shares(rungs, plan.limit_names, found.limits)
    predicted = predictions(_situation(plan, found), found.limits)
    whole = plan.host[-1].name
    against = _against(plan, found.rounds)
    ratio = ratios(found.rounds, whole) if found.rounds else {}
    cold = passes.cold.images_per_second if passes.cold else None
    warm = passes.warm.images_per_second
    sentences = [
        verdict(rungs, found.limits, shared, predicted),
        *remarks.of_peers(against, ratio, rungs),
        *remarks.of_cold_start(cold, warm),
        *remarks.of_shuffle(found.quality),
    ]
    return BenchReport(
        data=str(records.folder),
        storage=records.storage,
        reader=choice.name,
        reader_reason=choice.reason,
        batch_size=plan.config.batch_size,
        num_cpus=num_cpus(),
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


def _situation(plan: BenchPlan, found: Measured) -> Situation:
    records = plan.records
    card = records.manifest.split("train")
    return Situation(
        storage=records.storage,
        reader=choose_reader(records, plan.config.reader).name,
        side=records.manifest.config.side,
        num_images=card.num_examples,
        num_bytes=card.num_bytes,
        memory_bytes=_memory_bytes(),
        images_per_second=split_rungs(found.rungs)[0][-1].images_per_second,
    )


def _memory_bytes() -> int:
    """The memory that shards could lie in; 0 where it is not known."""
    memory = read_memory()
    return memory.usable_bytes if memory else 0


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
    if plan.rivals and plan.records.storage in ("raw", "yuv420"):
        notes.append("For rivals that read JPEG, pixels were encoded at quality 90.")
    return tuple(notes)
