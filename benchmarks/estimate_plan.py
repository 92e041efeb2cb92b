"""The plan of an estimate: photos to try, the place for it, and what limits it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.benchmarks.config import EstimateConfig
from alexnet.pipeline.build.plan import BuildPlan, make_plan
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.machine import num_cpus, read_memory
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.scan import Source


@dataclass(frozen=True)
class EstimatePlan:
    """The photos to try, the place for it, and the room that there is."""

    path: Place
    source: Source
    sample: Source
    # On the disk that the records would be on.
    folder: Path
    free_bytes: int
    memory_bytes: int | None
    # Of the whole source, in each storage.
    builds: dict[StorageName, tuple[BuildConfig, BuildPlan]]
    # Of a whole build.
    workers: int
    # Options of the pipeline that builds the sample; None: this machine builds it.
    beam: tuple[str, ...] | None
    config: EstimateConfig


def plan_estimate(
    path: Place,
    source: Source,
    out: Path,
    config: EstimateConfig,
    beam: Sequence[str] | None = None,
) -> EstimatePlan:
    """Plan what to try out, of the photos that come first in a build's order.

    Raises:
        ConfigError: a setting is out of range.
    """
    names = source.class_names
    # The order is a hash's, so that its beginning is as good as any sample.
    together = BuildConfig(validation_fraction=0, shards=1)
    (shard,) = make_plan(source.files, names, together).shards
    folder = next(p for p in (out, *out.absolute().parents) if p.is_dir())
    memory = read_memory()
    return EstimatePlan(
        path=path,
        source=source,
        sample=replace(source, files=tuple(shard.files[: config.sample])),
        folder=folder,
        free_bytes=shutil.disk_usage(folder).free,
        # What the page cache could take.
        memory_bytes=min(memory.available_bytes, memory.usable_bytes)
        if memory
        else None,
        builds={
            storage: (build, make_plan(source.files, names, build))
            for storage, build in config.builds().items()
        },
        workers=config.workers or num_cpus(),
        beam=None if beam is None else tuple(beam),
        config=config,
    )
