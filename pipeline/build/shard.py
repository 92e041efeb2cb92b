"""A shard on its way to the disk, and the statistics of the records in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.state import ShardReceipt
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.source.scan import Quarantined


@dataclass
class ShardStats:
    """Counts of the records so far, and the files that have none."""

    class_counts: Counter[int] = field(default_factory=Counter)
    quarantined: list[Quarantined] = field(default_factory=list)
    # Of the records' photos, one after another.
    digests: bytearray = field(default_factory=bytearray)
    # How many photos there are of each shorter side, in pixels.
    shorter_sides: Counter[int] = field(default_factory=Counter)

    def collect(self, results: Iterable[EncodeResult]) -> Iterator[bytes]:
        """Count `results` and yield their records."""
        for result in results:
            if result.quarantined:
                self.quarantined.append(result.quarantined)
                continue
            self.class_counts[result.file.label] += 1
            self.digests += result.digest
            self.shorter_sides[min(result.width, result.height)] += 1
            yield result.record


def write_planned(
    out: Path, shard: ShardPlan, results: Iterable[EncodeResult], num_classes: int
) -> None:
    """Write a shard of `results` to `out` and, when it is whole, its receipt."""
    stats = ShardStats()
    written = write_shard(out / shard.name, stats.collect(results))
    ShardReceipt(
        Shard(shard.name, *written),
        tuple(stats.class_counts[label] for label in range(num_classes)),
        tuple(stats.quarantined),
        bytes(stats.digests),
        dict(stats.shorter_sides),
    ).save(out)
