"""A sample build: the records of a few photos in one storage, multiplied and read.

The real stages do the work; sizes and times of the whole record set are extrapolated
from theirs.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from alexnet.benchmarks.input_pipeline.first_epoch import time_first_epochs
from alexnet.benchmarks.limits import POOL_BYTES
from alexnet.benchmarks.measure import (
    Deliveries,
    Measurement,
    Stopwatch,
    Timing,
    deliver,
)
from alexnet.benchmarks.sample_pace import Pace
from alexnet.pipeline.build.plan import BuildPlan
from alexnet.pipeline.build.quarantine import read_quarantine
from alexnet.pipeline.config import ReadConfig, Reader
from alexnet.pipeline.files import atomic_path
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.stage import compose
from alexnet.pipeline.records.interop import read_index
from alexnet.pipeline.records.manifest import SplitCard
from alexnet.pipeline.source.scan import Quarantined, Source


class Size(NamedTuple):
    """Bytes of a whole record set, and their standard error."""

    num_bytes: float
    error_bytes: float


@dataclass(frozen=True)
class SampleBuild:
    """Figures of a whole record set, from a part that was built and read."""

    size: Size
    num_bad: int
    build_seconds: float
    warm: Measurement
    # From the disk; None where memory holds all of it, or does not let go of it.
    cold_images_per_second: float | None


def measure_sample(
    whole: BuildPlan,
    sample: Source,
    folder: Path,
    pace: Pace,
    memory_bytes: int | None,
    stopwatch: Stopwatch,
) -> SampleBuild:
    """Read the records of the `sample` in a folder as often as it takes.

    Args:
        whole: of all photos.
        pace: of the whole build.
        memory_bytes: what can hold records that were read; None if it is not known.
    """
    built, bad = open_records(folder), read_quarantine(folder)
    size = _size(built, bad, whole, sample)
    records, write_seconds = _multiply(built, whole.num_files)
    storage = built.manifest.config.storage
    stored = Timing(f"read {storage}", lambda: _deliver(records))
    warm, cold = stopwatch.time(stored), None
    if memory_bytes is not None and size.num_bytes > memory_bytes:
        cold = _read_cold(records, stopwatch.seconds)
    seconds = pace.seconds(whole.num_files) + write_seconds * size.num_bytes
    return SampleBuild(size, len(bad), seconds, warm, cold)


def _size(
    records: OpenedRecords,
    quarantined: Sequence[Quarantined],
    whole: BuildPlan,
    sample: Source,
) -> Size:
    """The whole set's size: exact where all records have one length."""
    if whole.layout is not None:
        return Size(whole.estimated_bytes, 0)
    (shard,) = records.manifest.split("train").shards
    built = read_index(records.folder, shard)[:, 1].tolist()
    if records.storage.is_square:
        return extrapolate([0] * len(built), built, 0, whole.num_files)
    bad = {photo.key for photo in quarantined}
    stored = [file.size_bytes for file in sample.files if file.key not in bad]
    of_all = sum(file.size_bytes for files in whole.files.values() for file in files)
    return extrapolate(stored, built, of_all, whole.num_files)


def extrapolate(
    known: Sequence[int], built: Sequence[int], known_of_all: int, num_images: int
) -> Size:
    """The size of `num_images` records, of which some were `built`.

    What is `known` of a record unbuilt, such as the size of the file that it holds, is
    counted exactly; the mean of the rest stands for that of all.
    """
    rest = [record - part for record, part in zip(built, known, strict=True)]
    error = 0.0
    if len(rest) > 1:
        # The closer the sample comes to all there is, the less is left to chance.
        unseen = 1 - len(rest) / num_images
        error = stdev(rest) * math.sqrt(unseen / len(rest))
    return Size(known_of_all + num_images * fmean(rest), num_images * error)


def _multiply(records: OpenedRecords, num_images: int) -> tuple[OpenedRecords, float]:
    """The records once more and more, and the seconds a byte that writing them takes.

    They become as many as the whole set's, or more than a processor's caches hold: few
    records would be read from there.
    """
    manifest, card = records.manifest, records.manifest.split("train")
    (shard,) = card.shards
    times = min(-(-num_images // card.num_examples), -(-POOL_BYTES // card.num_bytes))
    copies = [replace(shard, name=f"copy-{n:05d}.tfrecord") for n in range(1, times)]
    began = time.perf_counter()
    for copy in copies:
        with atomic_path(records.folder / copy.name) as partial:
            shutil.copyfile(records.folder / shard.name, partial)
    seconds = time.perf_counter() - began
    counts = tuple(times * count for count in card.class_counts)
    splits = {"train": SplitCard((shard, *copies), counts)}
    more = OpenedRecords(records.folder, replace(manifest, splits=splits))
    return more, seconds / (len(copies) * card.num_bytes) if copies else 0.0


def _read_cold(records: OpenedRecords, seconds: float) -> float | None:
    """Images a second from the disk; None where its pages stay in memory.

    They are streamed: rows from all over a map would have much read around them, which
    is gone before its turn comes.
    """
    count = records.manifest.split("train").num_examples
    paths = records.paths("train")
    first = time_first_epochs(
        lambda: _deliver(records, "stream"), paths, count, seconds
    )
    return first.cold.images_per_second if first.cold else None


def _deliver(records: OpenedRecords, reader: Reader = "auto") -> Deliveries:
    """Batches of the usual size, or of all there is."""
    usual = ReadConfig(reader=reader)
    count = records.manifest.split("train").num_examples
    config = replace(usual, batch_size=min(usual.batch_size, count))
    return deliver(compose(train_stages(records, config)))
