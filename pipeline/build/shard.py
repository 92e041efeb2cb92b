"""A shard on its way to the disk, and the receipt that it leaves in `.build`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.build.plan import ShardPlan
from alexnet.pipeline.build.state import STATE
from alexnet.pipeline.files import write_json
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.source.scan import Quarantined


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

    def save(self, out: Path) -> None:
        """Write the receipt beside the unfinished build's settings."""
        values = {
            "shard": asdict(self.shard),
            "class_counts": self.stats.class_counts,
            "shorter_sides": self.stats.shorter_sides,
            "digests": self.stats.digests.hex(),
            "quarantined": [bad._asdict() for bad in self.stats.quarantined],
        }
        write_json(_receipt_path(out, self.shard.name), values)

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


def _receipt_path(out: Path, shard_name: str) -> Path:
    return out / STATE / f"{shard_name}.json"


def write_planned(out: Path, shard: ShardPlan, results: Iterable[EncodeResult]) -> None:
    """Write a shard of `results` to `out` and, when it is whole, its receipt."""
    stats = ShardStats()
    written = write_shard(out / shard.name, stats.collect(results))
    ShardReceipt(Shard(shard.name, *written), stats).save(out)


def read_receipt(out: Path, shard: ShardPlan) -> ShardReceipt | None:
    """Return the receipt of a shard; None where either is missing or damaged."""
    path, file = _receipt_path(out, shard.name), out / shard.name
    if not file.is_file() or not path.is_file():
        return None
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        receipt = ShardReceipt.from_json(json.loads(path.read_text(encoding="utf-8")))
        return receipt if file.stat().st_size == receipt.shard.num_bytes else None
    return None


def drop_receipt(out: Path, shard: ShardPlan) -> None:
    """Have a finished shard written again."""
    _receipt_path(out, shard.name).unlink()


def adopt_shard(out: Path, attempt: Path, shard: ShardPlan) -> None:
    """Move a finished shard, then its receipt, from `attempt` to `out`."""
    for path in (attempt / shard.name, _receipt_path(attempt, shard.name)):
        path.replace(out / path.relative_to(attempt))
