"""The end of a build: the lists and the manifest, made of its shards' receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from alexnet.pipeline.build.duplicates import (
    Digests,
    count_duplicates,
    find_duplicates,
    planned_photos,
    save_duplicates,
)
from alexnet.pipeline.build.plan import BuildPlan, ShardPlan
from alexnet.pipeline.build.quarantine import save_quarantine
from alexnet.pipeline.build.shard import ShardReceipt, read_receipts
from alexnet.pipeline.config import BuildConfig, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.interop import save_interop
from alexnet.pipeline.records.manifest import Manifest, Shard, SourceSizes, SplitCard
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.scan import Quarantined


def finish(
    out: Place,
    plan: BuildPlan,
    config: BuildConfig,
    source_fingerprint: str,
    set_aside: Sequence[Quarantined],
) -> Manifest:
    """Write the lists of bad photos and of duplicates, and the manifest last.

    Raises:
        DataError: a shard has gone since it was written.
    """
    totals = _Totals({split: [] for split in plan.splits})
    receipts = read_receipts(out, plan.shards)
    for shard, receipt in zip(plan.shards, receipts, strict=True):
        totals.add(shard, _require(receipt, out, shard))
    bad = tuple(sorted([*totals.undecodable, *set_aside]))
    save_quarantine(out, bad)
    photos = planned_photos(plan, {item.key for item in bad})
    duplicates = find_duplicates(totals.digests, photos)
    save_duplicates(out, duplicates)
    manifest = Manifest(
        config=config,
        class_names=plan.class_names,
        splits={
            split: totals.card(split, len(plan.class_names)) for split in plan.splits
        },
        quarantined=len(bad),
        source_fingerprint=source_fingerprint,
        layout=plan.layout,
        source_sizes=SourceSizes.of(totals.sides, config.side),
        **count_duplicates(duplicates),
    )
    save_interop(out, manifest)
    manifest.save(out)
    return manifest


@dataclass
class _Totals:
    """The receipts of all shards, added up."""

    shards: dict[Split, list[Shard]]
    class_counts: Counter[tuple[Split, int]] = field(default_factory=Counter)
    sides: Counter[int] = field(default_factory=Counter)
    digests: Digests = field(default_factory=Digests)
    undecodable: list[Quarantined] = field(default_factory=list)

    def add(self, shard: ShardPlan, receipt: ShardReceipt) -> None:
        """Take in the next shard."""
        self.shards[shard.split].append(receipt.shard)
        for label, number in receipt.stats.class_counts.items():
            self.class_counts[shard.split, label] += number
        self.sides += receipt.stats.shorter_sides
        self.digests.add(receipt.stats.digests)
        self.undecodable += receipt.stats.quarantined

    def card(self, split: Split, num_classes: int) -> SplitCard:
        """Return the manifest's card of a split."""
        return SplitCard(
            tuple(self.shards[split]),
            tuple(self.class_counts[split, label] for label in range(num_classes)),
        )


def _require(
    receipt: ShardReceipt | None, out: Place, shard: ShardPlan
) -> ShardReceipt:
    if receipt is None:
        raise DataError(
            f"{out / shard.name} was there and is gone: does something else write to"
            f" {out}? Run the build again."
        )
    return receipt
