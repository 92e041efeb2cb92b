"""Verify a record set: read every byte and name every damaged record.

The shards, their indexes, the class names and the manifest's counts; `repair` mends
what is damaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from alexnet.pipeline.build.writer import Progress
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.manifest import LABELS, MANIFEST, Manifest, load_manifest
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.verify.damage import BadRecord, bad_file
from alexnet.pipeline.verify.inspection import Inspector


@dataclass(frozen=True)
class VerifyReport:
    """The damage of a record set, and the names of the files that were repaired."""

    data: Place
    num_examples: int
    bad: tuple[BadRecord, ...]
    repaired: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `--json` promises."""
        return {
            "data": str(self.data),
            "num_examples": self.num_examples,
            "num_bad": len(self.bad),
            "bad": [asdict(record) for record in self.bad],
            "repaired": list(self.repaired),
        }


def verify(
    folder: Place,
    progress: Progress = lambda done, total: None,
    names: Collection[str] | None = None,
) -> VerifyReport:
    """Read every byte of the record set in `folder`, whatever is remembered of it.

    Of a remote one, a shard for each thread is fetched at a time.

    Args:
        progress: is called with the bytes read and the bytes in all.
        names: of the shards to read; by default all.

    Raises:
        DataError: there is no record set, or its manifest cannot be read.
        RemoteError: a store fails for long.
    """
    folder = as_place(folder)
    manifest = load_manifest(folder)
    shards = [s for s in manifest.shards if names is None or s.name in names]
    meter = _Meter(sum(shard.num_bytes for shard in shards), progress)
    progress(0, meter.total)
    inspector = Inspector(folder, manifest.layout, len(manifest.class_names))
    with ThreadPoolExecutor(num_cpus()) as threads:
        try:
            inspections = list(
                threads.map(lambda shard: inspector.inspect(shard, meter.add), shards)
            )
        finally:
            meter.stopped = True
    bad = [record for inspection in inspections for record in inspection.bad]
    counts = {
        shard.name: inspection.label_counts
        for shard, inspection in zip(shards, inspections, strict=True)
        if inspection.label_counts is not None
    }
    bad += _manifest_damage(manifest, counts) + _labels_damage(folder, manifest)
    num_examples = sum(card.num_examples for card in manifest.splits.values())
    return VerifyReport(folder, num_examples, tuple(bad))


class _Meter:
    """Count the bytes that all threads have read; stop the threads when stopped."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.done, self.total, self.progress = 0, total, progress
        self.stopped, self._lock = False, Lock()

    def add(self, num_bytes: int) -> None:
        if self.stopped:  # by Ctrl-C, which only the main thread hears
            raise CancelledError
        with self._lock:
            self.done += num_bytes
            self.progress(self.done, self.total)


def _manifest_damage(
    manifest: Manifest, counts: dict[str, Counter[int | None]]
) -> list[BadRecord]:
    """Return the splits whose counts in the manifest are not those of their shards."""
    bad = []
    for split, card in manifest.splits.items():
        if any(shard.name not in counts for shard in card.shards):
            continue
        sizes = [counts[shard.name].total() for shard in card.shards]
        labels = sum((counts[s.name] for s in card.shards), Counter[int | None]())
        class_counts = tuple(labels[i] for i in range(len(manifest.class_names)))
        right_sizes = sizes == [shard.num_examples for shard in card.shards]
        if not right_sizes or class_counts != card.class_counts:
            reason = f"its counts are not those of the {split} shards"
            bad.append(bad_file(MANIFEST, reason))
    return bad


def _labels_damage(folder: Place, manifest: Manifest) -> list[BadRecord]:
    with suppress(OSError):
        if (folder / LABELS).read_bytes() == manifest.labels_text():
            return []
    return [bad_file(LABELS, f"does not hold the class names of {MANIFEST}")]
