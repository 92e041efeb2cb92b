"""A shard on its way from workers to disk, and what it comes to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.quarantine import Tally
from alexnet.pipeline.build.state import ShardReceipt
from alexnet.pipeline.records.encode import Encoded
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.source.scan import ImageFile, Quarantined

Result = tuple[ImageFile, "Encoded | str"]


@dataclass
class ShardStats:
    """Counts of the records seen so far, and the files that have none."""

    class_counts: Counter[int] = field(default_factory=Counter)
    aside: list[Quarantined] = field(default_factory=list)
    # Of the records' photos, one after another.
    digests: bytearray = field(default_factory=bytearray)
    # How many photos there are of each shorter side, pixels.
    shorter_sides: Counter[int] = field(default_factory=Counter)

    def add(self, label: int, encoded: Encoded) -> None:
        """Count one record."""
        self.class_counts[label] += 1
        self.digests += encoded.digest
        self.shorter_sides[min(encoded.width, encoded.height)] += 1


def write_planned(
    out: Path,
    shard: ShardPlan,
    results: Iterable[Result],
    num_classes: int,
    tally: Tally,
) -> None:
    """Write a shard to `out` and, when it is whole, the note that says so.

    `results` are its files, in order, with their records or why they have none.

    Raises:
        DataError: one file more than `tally` allows is bad.
    """
    contents = ShardStats()
    records = take_records(results, contents, tally)
    written = write_shard(out / shard.name, records)
    ShardReceipt(
        Shard(shard.name, *written),
        tuple(contents.class_counts[label] for label in range(num_classes)),
        tuple(contents.aside),
        bytes(contents.digests),
        dict(contents.shorter_sides),
    ).save(out)


def take_records(
    results: Iterable[Result], contents: ShardStats, tally: Tally
) -> Iterator[bytes]:
    """The records among `results`; other files are set aside, with their reason."""
    for file, result in results:
        if isinstance(result, str):
            bad = Quarantined(file.key, result, file.size_bytes)
            contents.aside.append(bad)
            tally.add(bad)
        else:
            tally.add(None)
            contents.add(file.label, result)
            yield result.record
