"""The end of a build: from its shards' notes to the lists and the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from alexnet.pipeline.build.duplicates import (
    count_duplicates,
    find_duplicates,
    planned_photos,
    save_duplicates,
)
from alexnet.pipeline.build.plan import BuildPlan, ShardPlan
from alexnet.pipeline.build.quarantine import save_quarantine
from alexnet.pipeline.build.state import ShardReceipt, read_receipt
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.interop import save_interop
from alexnet.pipeline.records.manifest import Manifest, SourceSizes, SplitCard
from alexnet.pipeline.source.scan import Quarantined


def finish(
    out: Path,
    plan: BuildPlan,
    config: BuildConfig,
    source_fingerprint: str,
    set_aside: Sequence[Quarantined],
) -> Manifest:
    """Write the lists of bad photos and of duplicates, and the manifest last.

    Raises:
        DataError: a shard has gone since it was written.
    """
    notes = [(shard.split, _require_receipt(out, shard)) for shard in plan.shards]
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


def _require_receipt(out: Path, shard: ShardPlan) -> ShardReceipt:
    note = read_receipt(out, shard)
    if note is None:
        raise DataError(
            f"{out / shard.name} was there and is gone: does something else write to"
            f" {out}? Run the build again."
        )
    return note


def _split_card(notes: list[ShardReceipt], num_classes: int) -> SplitCard:
    counts = [note.class_counts for note in notes]
    return SplitCard(
        tuple(note.shard for note in notes),
        tuple(sum(row[label] for row in counts) for label in range(num_classes)),
    )
