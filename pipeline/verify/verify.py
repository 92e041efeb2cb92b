"""Verify a record set: read every byte and name every damaged record.

The shards, their indexes, the class names and the manifest's counts; `repair` mends
what is damaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from alexnet.pipeline.background import BackgroundPool
from alexnet.pipeline.beam.options import require_beam
from alexnet.pipeline.build.writer import Progress
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.manifest import (
    LABELS,
    MANIFEST,
    Manifest,
    Shard,
    load_manifest,
)
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.verify.damage import BadRecord, bad_file
from alexnet.pipeline.verify.inspection import Inspection, Inspector


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
    *,
    workers: int | None = None,
    beam: Sequence[str] | None = None,
    answers: Path | None = None,
) -> VerifyReport:
    """Read every byte of the record set in `folder`, whatever is remembered of it.

    Of a remote one, a shard for each worker is fetched at a time.

    Args:
        progress: is called with the bytes read and the bytes in all.
        names: of the shards to read; by default all.
        workers: threads that read a shard each; by default one a CPU.
        beam: options of an Apache Beam pipeline that is to read the shards; its workers
            must see a `folder` that is no URL under its path. None: this machine does.
        answers: a folder that Beam's workers see, to answer in; by default `folder`.

    Raises:
        ConfigError: Apache Beam is asked for and not installed, or without options that
            there are, or with no folder to answer in.
        DataError: there is no record set, its manifest cannot be read, a worker does
            not see it, or Beam has failed.
        RemoteError: a store fails for long.
    """
    if beam is not None:
        require_beam()
    folder, workers = as_place(folder), workers or num_cpus()
    manifest = load_manifest(folder)
    shards = [s for s in manifest.shards if names is None or s.name in names]
    meter = _Meter(sum(shard.num_bytes for shard in shards), progress)
    progress(0, meter.total)
    inspector = Inspector(folder, manifest.layout, len(manifest.class_names))
    if beam is None:
        found = _inspect_on_threads(inspector, shards, workers, meter)
    else:
        from alexnet.pipeline.verify.beam import inspect_on_beam

        found = inspect_on_beam(inspector, shards, beam, workers, answers, meter.add)
    bad = [record for inspection in found for record in inspection.bad]
    counts = {
        shard.name: inspection.label_counts
        for shard, inspection in zip(shards, found, strict=True)
        if inspection.label_counts is not None
    }
    bad += _manifest_damage(manifest, counts) + _labels_damage(folder, manifest)
    num_examples = sum(card.num_examples for card in manifest.splits.values())
    return VerifyReport(folder, num_examples, tuple(bad))


def _inspect_on_threads(
    inspector: Inspector, shards: Sequence[Shard], workers: int, meter: _Meter
) -> list[Inspection]:
    """Return what threads of this process find in the shards, in their order."""
    threads = BackgroundPool(workers, "verify")
    try:
        return list(threads.map(lambda s: inspector.inspect(s, meter.add), shards))
    finally:
        meter.stopped = True


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
