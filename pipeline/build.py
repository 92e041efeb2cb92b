"""Run a build plan: worker processes encode, this process writes shard after shard.

A finished shard has its final name and a note of what it holds beside it; a build that
is run again goes on with the shards that lack one. The manifest is written last.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from pipeline.config import BuildConfig
from pipeline.errors import DataError
from pipeline.example import write_shard
from pipeline.files import require_room
from pipeline.folder import ImageFile, Source
from pipeline.interop import save_interop
from pipeline.manifest import MANIFEST, Manifest, Shard, SplitCard, load_manifest
from pipeline.plan import BuildPlan, ShardPlan, Split, make_plan
from pipeline.quarantine import (
    Progress,
    Quarantined,
    Tally,
    read_quarantine,
    save_quarantine,
)
from pipeline.unfinished import (
    ShardNote,
    build_settings,
    close_state,
    open_state,
    read_note,
    remove_set,
    require_ours,
    require_same,
)
from pipeline.workers import EncodeJob, encoder, num_cpus


@dataclass(frozen=True)
class BuildReport:
    """What a build made; `seconds` and the rate are of this run alone."""

    data: Path
    manifest: Manifest
    quarantined: tuple[Quarantined, ...]
    seconds: float
    encoded: int

    @property
    def images_per_second(self) -> float:
        """Images encoded in this run a second; 0 when nothing was left to do."""
        return self.encoded / self.seconds if self.encoded else 0.0

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "data": str(self.data),
            "storage": self.manifest.config.storage,
            "class_names": list(self.manifest.class_names),
            "splits": {
                name: {
                    "num_examples": card.num_examples,
                    "num_shards": len(card.shards),
                    "num_bytes": card.num_bytes,
                }
                for name, card in self.manifest.splits.items()
            },
            "quarantined": len(self.quarantined),
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }


def build(
    source: Source,
    out: Path,
    config: BuildConfig,
    *,
    workers: int | None = None,
    max_bad: float = 0.01,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> BuildReport:
    """Write the record set of `source` to `out`, or what is missing of it.

    Args:
        workers: processes that decode and encode; by default one a CPU.
        max_bad: share of the files that may be set aside; a single one always may,
            unless it is 0.
        overwrite: delete a record set made with other settings first.
        progress: is called with the images done and the images in all.

    Raises:
        DataError: other settings or another source made what is there, there is not
            enough room, or more files are bad than `max_bad` allows.
    """
    start = time.monotonic()
    plan = make_plan(source.files, source.class_names, config)
    settings = build_settings(source, config)
    if overwrite:
        remove_set(out)
    finished = _finished_set(out, config, settings["source_fingerprint"])
    if finished:
        close_state(out)  # killed while tidying up
        bad = read_quarantine(out)
        return BuildReport(out, finished, bad, time.monotonic() - start, 0)
    require_ours(out, settings)
    todo, tally = [], Tally(plan.num_files, max_bad, progress)
    for shard in plan.shards:
        note = read_note(out, shard)
        if note is None:
            todo.append(shard)
        else:
            tally.done += len(shard.files)
            tally.bad += note.quarantined
    tally.require_few_bad()
    share_left = 1 - tally.done / tally.total
    require_room(out, round(plan.estimated_bytes * share_left))
    open_state(out, settings)
    _write_shards(out, source, config, todo, workers or num_cpus(), tally)
    manifest, bad = _finish(out, plan, config, settings["source_fingerprint"])
    close_state(out)
    return BuildReport(out, manifest, bad, time.monotonic() - start, tally.encoded)


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
    source: Source,
    config: BuildConfig,
    todo: list[ShardPlan],
    workers: int,
    tally: Tally,
) -> None:
    files = [file for shard in todo for file in shard.files]
    tally.progress(tally.done, tally.total)
    job = EncodeJob(source.store, source.class_names, config)
    with encoder(job, workers) as encode:
        results = zip(files, encode(files), strict=True)
        for shard in todo:
            aside: list[Quarantined] = []
            counts: Counter[int] = Counter()
            mine = islice(results, len(shard.files))
            written = write_shard(
                out / shard.name, _kept_records(mine, aside, counts, tally)
            )
            of_class = tuple(counts[i] for i in range(len(source.class_names)))
            ShardNote(Shard(shard.name, *written), of_class, tuple(aside)).save(out)


def _kept_records(
    results: Iterable[tuple[ImageFile, bytes | str]],
    aside: list[Quarantined],
    counts: Counter[int],
    tally: Tally,
) -> Iterator[bytes]:
    """The records among `results`; the others go to `aside`, with their reason."""
    for file, result in results:
        if isinstance(result, bytes):
            tally.add(None)
            counts[file.label] += 1
            yield result
        else:
            bad = Quarantined(file.key, result, file.size_bytes)
            aside.append(bad)
            tally.add(bad)


def _finish(
    out: Path, plan: BuildPlan, config: BuildConfig, source_fingerprint: str
) -> tuple[Manifest, tuple[Quarantined, ...]]:
    """Write the quarantine list, files for others, the labels and the manifest last."""
    notes = [(shard.split, _require_note(out, shard)) for shard in plan.shards]
    bad = tuple(sorted(item for _, note in notes for item in note.quarantined))
    save_quarantine(out, bad)
    manifest = Manifest(
        config=config,
        class_names=plan.class_names,
        splits={
            split: _split_card(
                [note for where, note in notes if where == split],
                len(plan.class_names),
            )
            for split in get_args(Split)
        },
        quarantined=len(bad),
        source_fingerprint=source_fingerprint,
    )
    save_interop(out, manifest)
    manifest.save(out)
    return manifest, bad


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
