"""A shard on its way to the disk, and the receipt that it leaves in `.build`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alexnet.pipeline.background import BackgroundPool
from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.state import STATE
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.fixed_layout import Layout
from alexnet.pipeline.records.interop import index_name, shard_index
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import (
    Place,
    file_size,
    names_in,
    put_json,
    put_text,
)
from alexnet.pipeline.remote.transfer import send_file
from alexnet.pipeline.source.scan import Quarantined

# Receipts that are read at a time.
MOST_ASKED = 16


@dataclass
class ShardStats:
    """Counts of a shard's records, and the files that have none."""

    class_counts: Counter[int] = field(default_factory=Counter)
    # How many photos there are of each shorter side, in pixels.
    shorter_sides: Counter[int] = field(default_factory=Counter)
    # Of the records' photos, one after another.
    digests: bytes | bytearray = field(default_factory=bytearray)
    quarantined: list[Quarantined] = field(default_factory=list)

    def collect(self, results: Iterable[EncodeResult]) -> Iterator[bytes]:
        """Count `results` and yield their records."""
        for result in results:
            if result.quarantined:
                self.quarantined.append(result.quarantined)
                continue
            self.class_counts[result.file.label] += 1
            self.shorter_sides[min(result.width, result.height)] += 1
            self.digests += result.digest
            yield result.record


@dataclass(frozen=True)
class ShardReceipt:
    """A finished shard, which counts as such when it and its receipt exist."""

    shard: Shard
    stats: ShardStats

    def save(self, out: Place) -> None:
        """Write the receipt beside the unfinished build's settings."""
        values = {
            "shard": asdict(self.shard),
            "class_counts": self.stats.class_counts,
            "shorter_sides": self.stats.shorter_sides,
            "digests": self.stats.digests.hex(),
            "quarantined": [bad._asdict() for bad in self.stats.quarantined],
        }
        put_json(_receipt_path(out, self.shard.name), values)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ShardReceipt:
        """Return the receipt that was saved."""
        stats = ShardStats(
            _counter(values["class_counts"]),
            _counter(values["shorter_sides"]),
            bytes.fromhex(values["digests"]),
            [Quarantined(**bad) for bad in values["quarantined"]],
        )
        return cls(Shard(**values["shard"]), stats)


def _counter(values: dict[str, int]) -> Counter[int]:
    return Counter({int(key): count for key, count in values.items()})


def _receipt_path(out: Place, shard_name: str) -> Place:
    return out / STATE / f"{shard_name}.json"


def write_planned(out: Path, shard: ShardPlan, results: Iterable[EncodeResult]) -> None:
    """Write a shard of `results` to `out` and, when it is whole, its receipt."""
    stats = ShardStats()
    written = write_shard(out / shard.name, stats.collect(results))
    ShardReceipt(Shard(shard.name, *written), stats).save(out)


def read_receipts(
    out: Place, shards: Sequence[ShardPlan]
) -> Iterator[ShardReceipt | None]:
    """Yield the receipts of shards, in their order; a store is asked for many at once.

    Each is None where the shard or its receipt is missing or damaged.
    """
    threads = BackgroundPool(min(MOST_ASKED, len(shards)), "receipts")
    for start in range(0, len(shards), MOST_ASKED):  # each has 8 bytes a photo
        some = shards[start : start + MOST_ASKED]
        yield from threads.map(lambda shard: read_receipt(out, shard), some)


def new_receipts(
    out: Place, shards: Sequence[ShardPlan]
) -> list[tuple[ShardPlan, ShardReceipt]]:
    """Return those of `shards` that are whole by now, with their receipts.

    A store is asked once for all that are not.
    """
    names = {*names_in(out / STATE)}
    there = [shard for shard in shards if f"{shard.name}.json" in names]
    found = zip(there, read_receipts(out, there), strict=True)
    return [(shard, receipt) for shard, receipt in found if receipt]


def read_receipt(out: Place, shard: ShardPlan) -> ShardReceipt | None:
    """Return the receipt of a shard; None where either is missing or damaged."""
    absent = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
    with suppress(AttributeError, KeyError, TypeError, ValueError, *absent):
        text = _receipt_path(out, shard.name).read_text(encoding="utf-8")
        receipt = ShardReceipt.from_json(json.loads(text))
        is_whole = file_size(out / shard.name) == receipt.shard.num_bytes
        return receipt if is_whole else None
    return None


def drop_receipt(out: Place, shard: ShardPlan) -> None:
    """Have a finished shard written again."""
    _receipt_path(out, shard.name).unlink()


def adopt_shard(out: Path, attempt: Path, shard: ShardPlan) -> None:
    """Move a finished shard, then its receipt, from `attempt` to `out`."""
    for path in (attempt / shard.name, attempt / STATE / f"{shard.name}.json"):
        path.replace(out / path.relative_to(attempt))


def send_shard(
    out: Location, attempt: Path, shard: ShardPlan, layout: Layout | None
) -> None:
    """Send a finished shard, its index, and its receipt last: what has one is whole.

    Raises:
        DataError: the shard is gone.
        RemoteError: the store fails for long, or does not hold what it was sent.
    """
    receipt = read_receipt(attempt, shard)
    if receipt is None:
        raise DataError(f"{attempt / shard.name} is gone: what deletes files there?")
    file = attempt / shard.name
    send_file(file, out / shard.name, receipt.shard.crc32c)
    if layout is None:
        put_text(
            out / index_name(receipt.shard.name), shard_index(attempt, receipt.shard)
        )
    receipt.save(out)
    file.unlink()
