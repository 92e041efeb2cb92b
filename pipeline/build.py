"""Run a build plan: worker processes encode, this process writes shard after shard.

A finished shard has its final name and a note of what it holds beside it; a build that
is run again goes on with the shards that lack one. The manifest is written last.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from pipeline.config import BuildConfig
from pipeline.contents import write_planned
from pipeline.duplicates import (
    count_duplicates,
    find_duplicates,
    planned_photos,
    save_duplicates,
)
from pipeline.errors import ConfigError, DataError
from pipeline.files import require_room
from pipeline.folder import Source
from pipeline.interop import save_interop
from pipeline.machine import num_cpus
from pipeline.manifest import (
    MANIFEST,
    Manifest,
    SourceSizes,
    SplitCard,
    load_manifest,
)
from pipeline.plan import BuildPlan, ShardPlan, make_plan
from pipeline.quarantine import (
    Progress,
    Quarantined,
    Tally,
    read_quarantine,
    save_quarantine,
)
from pipeline.report import BuildReport
from pipeline.unfinished import (
    ShardNote,
    build_settings,
    close_state,
    open_state,
    read_note,
    remove_set,
    require_ours,
    require_same,
    require_usable,
    sole_build,
)
from pipeline.workers import EncodeJob, encoder


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
    """
    start = time.monotonic()
    workers = workers or num_cpus()
    if beam is not None:
        require_beam()
    plan = make_plan(source.files, source.class_names, config)
    settings = build_settings(source, config)
    require_usable(out)
    with sole_build(out):
        if overwrite:
            remove_set(out)
        manifest = _finished_set(out, config, settings["source_fingerprint"])
        was_finished, encoded = manifest is not None, 0
        if manifest is None:
            require_ours(out, settings)
            tally = Tally(plan.num_files + len(source.set_aside), max_bad, progress)
            tally.add_shard(len(source.set_aside), source.set_aside)
            todo = _unfinished_shards(out, plan, tally)
            before = tally.encoded
            open_state(out, settings)
            job = EncodeJob(source.store, source.class_names, config, plan.layout)
            if beam is None:
                _write_shards(out, job, todo, tally, workers, plan.record_bytes)
            else:
                from pipeline.beam import write_shards

                write_shards(out, job, todo, tally, workers, beam)
            fingerprint = settings["source_fingerprint"]
            manifest = _finish(out, plan, config, fingerprint, source.set_aside)
            encoded = tally.encoded - before
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


def _unfinished_shards(out: Path, plan: BuildPlan, tally: Tally) -> list[ShardPlan]:
    """The shards that are still to be made; the others are counted in `tally`.

    Raises:
        DataError: more files are bad than may be, or there is not enough room.
    """
    todo = []
    for shard in plan.shards:
        note = read_note(out, shard)
        if note is None:
            todo.append(shard)
        else:
            tally.add_shard(len(shard.files), note.quarantined)
    tally.require_few_bad()
    share_left = 1 - tally.done / tally.total
    require_room(out, round(plan.estimated_bytes * share_left))
    return todo


def _finished_set(out: Path, config: BuildConfig, source: str) -> Manifest | None:
    """The manifest of `out` when it is this very set; None when there is none."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = load_manifest(out)
    require_same(out, manifest.config.to_json(), config.to_json())
    if manifest.source_fingerprint != source:
        raise DataError(
            f"{out} was built from other files: the source has changed since. Say"
            " --overwrite to build anew, or choose another --out."
        )
    return manifest


def _write_shards(
    out: Path,
    job: EncodeJob,
    todo: list[ShardPlan],
    tally: Tally,
    workers: int,
    record_bytes: int,
) -> None:
    files = [file for shard in todo for file in shard.files]
    with encoder(job, workers, record_bytes) as encode:
        tally.progress(tally.done, tally.total)
        results = zip(files, encode(files), strict=True)
        for shard in todo:
            mine = islice(results, len(shard.files))
            write_planned(out, shard, mine, len(job.class_names), tally)


def _finish(
    out: Path,
    plan: BuildPlan,
    config: BuildConfig,
    source_fingerprint: str,
    set_aside: Sequence[Quarantined],
) -> Manifest:
    """Write the lists of bad photos and of duplicates, and the manifest last."""
    notes = [(shard.split, _require_note(out, shard)) for shard in plan.shards]
    undecodable = (item for _, note in notes for item in note.quarantined)
    bad = tuple(sorted([*undecodable, *set_aside]))
    save_quarantine(out, bad)
    digests = b"".join(note.digests for _, note in notes)
    photos = planned_photos(plan, {item.key for item in bad})
    duplicates = find_duplicates(digests, photos)
    save_duplicates(out, duplicates)
    sides = (Counter(note.shorter_sides) for _, note in notes)
    manifest = Manifest(
        config=config,
        class_names=plan.class_names,
        splits={
            split: _split_card(
                [note for where, note in notes if where == split],
                len(plan.class_names),
            )
            for split in plan.splits
        },
        quarantined=len(bad),
        source_fingerprint=source_fingerprint,
        layout=plan.layout,
        source_sizes=SourceSizes.of(sum(sides, Counter()), config.side),
        **count_duplicates(duplicates)._asdict(),
    )
    save_interop(out, manifest)
    manifest.save(out)
    return manifest


def _require_note(out: Path, shard: ShardPlan) -> ShardNote:
    note = read_note(out, shard)
    if note is None:
        raise DataError(
            f"{out / shard.name} was there and is gone: does something else write to"
            f" {out}? Run the build again."
        )
    return note


def _split_card(notes: list[ShardNote], num_classes: int) -> SplitCard:
    counts = [note.class_counts for note in notes]
    return SplitCard(
        tuple(note.shard for note in notes),
        tuple(sum(row[label] for row in counts) for label in range(num_classes)),
    )
