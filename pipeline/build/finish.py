"""The end of a build: the lists and the manifest, made of its shards' receipts."""

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
    receipts = [(shard.split, _require_receipt(out, shard)) for shard in plan.shards]
    undecodable = (item for _, receipt in receipts for item in receipt.quarantined)
    bad = tuple(sorted([*undecodable, *set_aside]))
    save_quarantine(out, bad)
    digests = b"".join(receipt.digests for _, receipt in receipts)
    photos = planned_photos(plan, {item.key for item in bad})
    duplicates = find_duplicates(digests, photos)
    save_duplicates(out, duplicates)
    sides = (Counter(receipt.shorter_sides) for _, receipt in receipts)
    manifest = Manifest(
        config=config,
        class_names=plan.class_names,
        splits={
            split: _split_card(
                [receipt for where, receipt in receipts if where == split],
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
    receipt = read_receipt(out, shard)
    if receipt is None:
        raise DataError(
            f"{out / shard.name} was there and is gone: does something else write to"
            f" {out}? Run the build again."
        )
    return receipt


def _split_card(receipts: list[ShardReceipt], num_classes: int) -> SplitCard:
    counts = [receipt.class_counts for receipt in receipts]
    return SplitCard(
        tuple(receipt.shard for receipt in receipts),
        tuple(sum(row[label] for row in counts) for label in range(num_classes)),
    )
