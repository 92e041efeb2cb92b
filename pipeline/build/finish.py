"""The end of a build: the lists and the manifest, made of its shards' receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from alexnet.pipeline.build.duplicates import (
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
from alexnet.pipeline.records.manifest import Manifest, SourceSizes, SplitCard
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
    found = zip(plan.shards, read_receipts(out, plan.shards), strict=True)
    receipts = [_require(receipt, out, shard) for shard, receipt in found]
    stats = [receipt.stats for receipt in receipts]
    undecodable = (item for part in stats for item in part.quarantined)
    bad = tuple(sorted([*undecodable, *set_aside]))
    save_quarantine(out, bad)
    digests = b"".join(part.digests for part in stats)
    photos = planned_photos(plan, {item.key for item in bad})
    duplicates = find_duplicates(digests, photos)
    save_duplicates(out, duplicates)
    sides = sum((part.shorter_sides for part in stats), Counter[int]())
    of_split: dict[Split, list[ShardReceipt]] = {split: [] for split in plan.splits}
    for shard, receipt in zip(plan.shards, receipts, strict=True):
        of_split[shard.split].append(receipt)
    manifest = Manifest(
        config=config,
        class_names=plan.class_names,
        splits={
            split: _split_card(parts, len(plan.class_names))
            for split, parts in of_split.items()
        },
        quarantined=len(bad),
        source_fingerprint=source_fingerprint,
        layout=plan.layout,
        source_sizes=SourceSizes.of(sides, config.side),
        **count_duplicates(duplicates),
    )
    save_interop(out, manifest)
    manifest.save(out)
    return manifest


def _require(
    receipt: ShardReceipt | None, out: Place, shard: ShardPlan
) -> ShardReceipt:
    if receipt is None:
        raise DataError(
            f"{out / shard.name} was there and is gone: does something else write to"
            f" {out}? Run the build again."
        )
    return receipt


def _split_card(receipts: list[ShardReceipt], num_classes: int) -> SplitCard:
    counts = sum((receipt.stats.class_counts for receipt in receipts), Counter[int]())
    return SplitCard(
        tuple(receipt.shard for receipt in receipts),
        tuple(counts[label] for label in range(num_classes)),
    )
