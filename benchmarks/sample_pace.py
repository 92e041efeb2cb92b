"""The pace of a build, from a sample of photos that is built.

Here in processes, or on workers of Apache Beam: a module without TensorFlow, for those.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.encoder import CHUNK
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import Source

# With fewer, a worker would be done before all are at work.
PHOTOS_A_WORKER = 4 * CHUNK


class Pace(NamedTuple):
    """The seconds before a build is under way, and its images per second from then."""

    start_seconds: float
    images_per_second: float

    def seconds(self, num_images: int) -> float:
        """The duration of a build of so many images."""
        return self.start_seconds + num_images / self.images_per_second


def pace(times: Sequence[float], skip: int, speed_up: float) -> Pace:
    """The pace of a build that began at 0 and had `i` images done at `times[i]`.

    Args:
        skip: images before the workers were all at work.
        speed_up: how many times as many workers a whole build has.
    """
    each = (times[-1] - times[skip]) / (len(times) - 1 - skip)
    return Pace(max(0.0, times[skip] - skip * each), speed_up / each)


@dataclass(frozen=True)
class SampleJob:
    """Photos to build in one storage after the other, each in a folder of its own."""

    sample: Source
    folder: Path
    builds: Mapping[StorageName, BuildConfig]
    # Of the whole build.
    workers: int

    def build(self, storage: StorageName) -> Pace:
        """Build the sample in processes, as many as it keeps busy."""
        most = len(self.sample.files) // PHOTOS_A_WORKER
        return self._build(storage, max(1, min(self.workers, most)))

    def build_isolated(self, storage: StorageName) -> Pace:
        """Build the sample in one process of its own, as a worker of Beam does."""
        return self._build(storage, 1, isolated=True)

    def _build(
        self, storage: StorageName, workers: int, *, isolated: bool = False
    ) -> Pace:
        """Build the sample's records as one shard; return the whole build's pace.

        Raises:
            DataError: none of the photos can be used, or there is no room.
        """
        count = len(self.sample.files)
        began, times = time.perf_counter(), []
        report = build(
            self.sample,
            self.folder / storage,
            replace(self.builds[storage], validation_fraction=0, shards=1),
            workers=workers,
            max_bad=1,
            isolated=isolated,
            progress=lambda done, total: times.append(time.perf_counter() - began),
        )
        if len(report.quarantined) == count:
            bad = report.quarantined[0]
            raise DataError(
                f"none of the {count} images tried can be used, such as {bad.key!r}:"
                f" {bad.reason}. Mend them, or try more with a larger `sample`."
            )
        return pace(times, min(workers * CHUNK, count // 2), self.workers / workers)


def build_on_beam(
    job: SampleJob, options: Sequence[str]
) -> Iterator[tuple[StorageName, Pace]]:
    """Build the sample in all storages on Beam's workers; yield each one's pace.

    Raises:
        ConfigError: there are no such options.
        DataError: none of the photos can be used, there is no room, or Beam failed.
    """
    from alexnet.pipeline.beam.answers import ask_workers

    storages = tuple(job.builds)
    with TemporaryDirectory(dir=job.folder) as answers:
        paces = ask_workers(
            job.build_isolated, storages, Path(answers), options, job.workers
        )
    for storage, figures in zip(storages, paces, strict=True):
        yield storage, Pace(*figures)
