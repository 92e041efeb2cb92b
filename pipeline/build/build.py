"""Run a build plan: worker processes encode, this process writes shard after shard.

A finished shard has its final name and a note of what it holds beside it; a build that
is run again goes on with the shards that lack one. The manifest is written last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from alexnet.pipeline.build.finish import finish
from alexnet.pipeline.build.output import (
    ANEW,
    replace_set,
    require_ours,
    require_same,
    require_usable,
    sole_build,
)
from alexnet.pipeline.build.plan import BuildPlan, ShardPlan, make_plan
from alexnet.pipeline.build.processes import CRASHED
from alexnet.pipeline.build.quarantine import Progress, Tally, read_quarantine
from alexnet.pipeline.build.report import BuildReport
from alexnet.pipeline.build.shard import write_planned
from alexnet.pipeline.build.state import (
    ShardReceipt,
    build_settings,
    close_state,
    drop_receipt,
    open_state,
    read_receipt,
)
from alexnet.pipeline.build.workers import EncodeJob, encoder, usable_keys
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import ConfigError, DataError, ReadError
from alexnet.pipeline.files import require_local, require_room
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.manifest import MANIFEST, Manifest, load_manifest
from alexnet.pipeline.source.scan import Source


def build(
    source: Source,
    out: Path,
    config: BuildConfig,
    *,
    workers: int | None = None,
    max_bad: float = 0.01,
    overwrite: bool = False,
    beam: Sequence[str] | None = None,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Write the record set of `source` to `out`, or what is missing of it.

    Args:
        workers: processes that decode and encode; by default one a CPU.
        max_bad: share of the files that may be set aside; a single one always may,
            unless it is 0.
        overwrite: delete a record set made with other settings first.
        beam: options of an Apache Beam pipeline that is to write the shards; its
            workers must see the photos under the path that was scanned. None: this
            machine's processes write them.
        progress: is called with the images done and the images in all.

    Raises:
        ConfigError: Apache Beam is asked for and not installed.
        DataError: other settings or another source made what is there, another
            process builds there, there is not enough room, or more files are bad than
            `max_bad` allows.
        ReadError: a photo cannot be read, for a reason that lies outside of it.
    """
    require_local(out)
    start = time.monotonic()
    workers = workers or num_cpus()
    if beam is not None:
        require_beam()
    plan = make_plan(source.files, source.class_names, config)
    shards = [shard.name for shard in plan.shards]
    settings = build_settings(source, config, shards)
    require_usable(out)
    with sole_build(out), _told_how_to_go_on(out):
        if overwrite:
            replace_set(out, settings)
        fingerprint = settings["source_fingerprint"]
        manifest = _finished_set(out, config, fingerprint)
        was_finished, encoded = manifest is not None, 0
        if manifest is None:
            require_ours(out, settings)
            tally = Tally(plan.num_files + len(source.set_aside), max_bad, progress)
            tally.add_shard(len(source.set_aside), source.set_aside)
            job = EncodeJob(source.store, source.class_names, config, plan.layout)
            todo = _unfinished_shards(out, plan, job, tally, workers)
            open_state(out, settings)
            before = tally.encoded
            _write_shards(out, job, todo, tally, workers, plan.record_bytes, beam)
            encoded = tally.encoded - before
            manifest = finish(out, plan, config, fingerprint, source.set_aside)
        close_state(out)
    seconds = time.monotonic() - start
    bad = read_quarantine(out)
    return BuildReport(out, manifest, bad, seconds, encoded, was_finished)


def require_beam() -> None:
    """Check that Apache Beam is there.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("apache_beam") is None:
        raise ConfigError(
            "the beam runner needs Apache Beam: pip install 'alexnet[beam]'"
        )


@contextmanager
def _told_how_to_go_on(out: Path) -> Iterator[None]:
    try:
        yield
    except ReadError as error:
        raise ReadError(
            f"{error} Then run the same command again to go on: finished shards are"
            f" kept in {out}."
        ) from error


def _unfinished_shards(
    out: Path, plan: BuildPlan, job: EncodeJob, tally: Tally, workers: int
) -> list[ShardPlan]:
    """The shards that are still to be made; the others are counted in `tally`.

    What those have set aside is tried again, so that mended photos are not lost; a
    shard that has such a photo is made again.

    Raises:
        DataError: more files are bad than may be, or there is not enough room.
    """
    found = [(shard, read_receipt(out, shard)) for shard in plan.shards]
    noted = [(shard, note) for shard, note in found if note is not None]
    todo = [shard for shard, note in found if note is None]
    usable = _usable_now(job, noted, workers, plan.record_bytes)
    for shard, note in noted:
        if usable.isdisjoint(bad.key for bad in note.quarantined):
            tally.add_shard(len(shard.files), note.quarantined)
        else:
            drop_receipt(out, shard)
            todo.append(shard)
    tally.require_few_bad()
    share_left = 1 - tally.done / tally.total
    require_room(out, round(plan.estimated_bytes * share_left))
    return todo


def _usable_now(
    job: EncodeJob,
    noted: list[tuple[ShardPlan, ShardReceipt]],
    workers: int,
    record_bytes: int,
) -> set[str]:
    """The keys of photos that finished shards set aside, and that can be used now."""
    bad = {item.key: item for _, note in noted for item in note.quarantined}
    files = [
        file
        for shard, _ in noted
        for file in shard.files
        # Not here: it could bring this process down.
        if file.key in bad and not bad[file.key].reason.startswith(CRASHED)
    ]
    return usable_keys(job, files, workers, record_bytes)


def _finished_set(out: Path, config: BuildConfig, source: str) -> Manifest | None:
    """The manifest of `out` when it is this very set; None when there is none."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = load_manifest(out)
    require_same(out, manifest.config.to_json(), config.to_json())
    if manifest.source_fingerprint != source:
        raise DataError(
            f"{out} was built from other files: the source has changed since. {ANEW}"
        )
    return manifest


def _write_shards(
    out: Path,
    job: EncodeJob,
    todo: list[ShardPlan],
    tally: Tally,
    workers: int,
    record_bytes: int,
    beam: Sequence[str] | None,
) -> None:
    if beam is not None:
        from alexnet.pipeline.build.beam import write_shards

        write_shards(out, job, todo, tally, workers, beam)
        return
    files = [file for shard in todo for file in shard.files]
    with encoder(job, workers, record_bytes) as encode:
        tally.progress(tally.done, tally.total)
        results = zip(files, encode(files), strict=True)
        for shard in todo:
            mine = islice(results, len(shard.files))
            write_planned(out, shard, mine, len(job.class_names), tally)
