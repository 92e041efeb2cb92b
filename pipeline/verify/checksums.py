"""Compare the shards of a record set with the checksums in its manifest.

`check_shards` does so once on a machine: readers that map bare pixels pass the records'
own checksums by.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import cache_home, fingerprint, write_json
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.records.record_set import repair_hint
from alexnet.pipeline.verify.damage import count_labels, find_damage

if TYPE_CHECKING:
    from alexnet.pipeline.records.record_set import RecordSet

# Large enough that the checksum lets other threads run (google-crc32c: from 1 MiB on).
READ_BYTES = 2**22
# A year: shards that are still there are only read once more.
KEPT_SECONDS = 365 * 24 * 3600


def require_whole_shards(records: RecordSet) -> None:
    """Read every shard through that is on this machine, and every record's label.

    Raises:
        DataError: a shard is damaged, or a record has no right label; the message names
            the shard, the record and its byte.
    """
    folder, manifest, shards = records.folder, records.manifest, records.shards_here()
    _require_whole(records, shards)
    for shard in shards:
        _, bad = count_labels(folder, shard, len(manifest.class_names))
        for first in bad[:1]:
            raise DataError(
                f"{folder / shard.name}, record {first.record}, byte {first.offset}:"
                f" {first.reason}. {repair_hint(folder)}"
            )


def check_shards(records: RecordSet, split: str) -> None:
    """Compare a split's shards with the manifest's checksums.

    Whole shards are remembered in the user's cache folder, by size and time of change,
    and not read again; what came from a store was checked on its way.

    Raises:
        DataError: a shard is damaged; the message names the record and its byte.
    """
    shards = records.manifest.split(split).shards
    memory = _memory_path(records.folder, split)
    states = {shard.name: _state(records.folder, shard) for shard in shards}
    known = _load(memory)
    new = [shard for shard in shards if known.get(shard.name) != states[shard.name]]
    fetched = records.remote.fetched if records.remote else ()
    _require_whole(records, [shard for shard in new if shard.name not in fetched])
    if new:
        with suppress(OSError):  # without a cache, they are read again next time
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_json(memory, states)
            _forget_old(memory.parent)


def _require_whole(records: RecordSet, shards: Collection[Shard]) -> None:
    folder = records.folder
    with ThreadPoolExecutor(num_cpus()) as threads:
        checksums = list(threads.map(lambda s: file_checksum(folder / s.name), shards))
    for shard, checksum in zip(shards, checksums, strict=True):
        if checksum != shard.crc32c:
            first = find_damage(folder, shard, records.manifest.layout)[0]
            damage = f" is damaged at record {first.record}, byte {first.offset}"
            if first.record is None:
                damage = f": {first.reason}"
            raise DataError(f"{folder / shard.name}{damage}. {repair_hint(folder)}")


def _memory_path(folder: Path, split: str) -> Path:
    place = fingerprint([str(folder.resolve()), split])
    return cache_home() / "alexnet" / "checked" / f"{place}.json"


def _forget_old(memory: Path) -> None:
    """Delete what no check has renewed for a year: those records may be gone."""
    oldest = time.time() - KEPT_SECONDS
    for path in memory.glob("*.json"):
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


def _load(memory: Path) -> dict[str, list[int]]:
    with suppress(OSError, ValueError):
        states = json.loads(memory.read_text(encoding="utf-8"))
        if isinstance(states, dict):
            return states
    return {}


def _state(folder: Path, shard: Shard) -> list[int]:
    """Return what changes when a shard or its checksum does."""
    status = (folder / shard.name).stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino, shard.crc32c]


def file_checksum(
    path: Path, count: Callable[[int], None] = lambda num_bytes: None
) -> int:
    """Return the CRC32C of a file; call `count` with the bytes of each piece read."""
    checksum = 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(READ_BYTES):
            checksum = google_crc32c.extend(checksum, data)
            count(len(data))
    return int(checksum)
