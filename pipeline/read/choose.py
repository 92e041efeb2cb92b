"""The choice of a record set's reader: stream the shards, or map them.

A set in a store is mapped from the second epoch on, and the first one streams it while
it arrives; where the cache cannot hold all of it, every epoch streams.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Literal

from alexnet.pipeline.config import Reader
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import format_bytes
from alexnet.pipeline.machine import REMOTE, file_system, read_memory
from alexnet.pipeline.records.arrivals import AHEAD
from alexnet.pipeline.records.cached_shards import CachedShards
from alexnet.pipeline.records.fixed_layout import PAGE_BYTES
from alexnet.pipeline.records.record_set import RecordSet

# Shards that a stream has open at a time.
OPEN_SHARDS = 16


@dataclass(frozen=True)
class ReaderChoice:
    """The reader of a record set, and the reason for it."""

    name: Literal["stream", "mmap", "stream-first", "photos"]
    reason: str

    @property
    def random_access(self) -> bool:
        """Whether examples are fetched by number, at least after the first epoch."""
        return self.name != "stream"

    @property
    def streams_first(self) -> bool:
        """Whether the first epoch of a training is streamed, unlike the others."""
        return self.name == "stream-first"


def choose_reader(records: RecordSet, asked: Reader = "auto") -> ReaderChoice:
    """The reader that was asked for, or the better one for these records.

    Raises:
        ConfigError: they cannot be read in the way that was asked for.
    """
    hindrance = _why_not_mapped(records)
    if asked in ("mmap", "stream-first") and hindrance:
        raise ConfigError(
            f"`reader={asked!r}` cannot read {records.place}: {hindrance}. Use"
            " `reader='stream'`, or build the records with `storage='jpeg'`, raw or"
            " yuv420."
        )
    if records.remote and not records.remote.fits:
        return _stream_through(records, records.remote, asked)
    if asked != "auto":
        return ReaderChoice(asked, "it was asked for")
    if hindrance:
        return ReaderChoice("stream", hindrance)
    kind = file_system(records.folder) or "a local disk"
    if kind.startswith(REMOTE):
        return ReaderChoice("stream", f"the records are on a network ({kind})")
    memory, num_bytes = read_memory(), records.num_bytes
    if memory and num_bytes > memory.usable_bytes:
        # Records from all over a disk: 254 images/s, one shard after another: 1 510.
        return ReaderChoice(
            "stream",
            f"the records' {format_bytes(num_bytes)} are more than the"
            f" {format_bytes(memory.usable_bytes)} of memory",
        )
    if records.remote:
        return ReaderChoice(
            "stream-first",
            f"the records are {records.storage.name}, and will all be on {kind}",
        )
    return ReaderChoice("mmap", f"the records are {records.storage.name} on {kind}")


def _stream_through(
    records: RecordSet, remote: CachedShards, asked: Reader
) -> ReaderChoice:
    """Choose to stream a set in a store that is larger than the cache.

    Raises:
        ConfigError: another way was asked for, or the cache is too small for that.
    """
    room_bytes = remote.cache.room_bytes
    why = (
        f"the records are {format_bytes(records.num_bytes)}, and the cache"
        f" {remote.cache.folder} has room for {format_bytes(room_bytes)}"
    )
    if asked in ("mmap", "stream-first"):
        raise ConfigError(
            f"`reader={asked!r}` cannot read {records.place}: {why}. Choose a larger"
            " `cache_limit_bytes`, another `cache`, or `reader='stream'`."
        )
    needed = (OPEN_SHARDS + AHEAD) * max(s.num_bytes for s in records.manifest.shards)
    if room_bytes < needed:
        raise ConfigError(
            f"{records.place} cannot be streamed: {why}. {OPEN_SHARDS + AHEAD} shards"
            f" are in use at a time, which are {format_bytes(needed)}: choose a larger"
            " `cache_limit_bytes`, or another `cache`."
        )
    return ReaderChoice("stream", why)


def _why_not_mapped(records: RecordSet) -> str | None:
    layout = records.manifest.layout
    if not records.storage.is_square:
        return "they hold original files, whose decoding is what takes the time"
    if layout is not None and layout.stride_bytes % mmap.PAGESIZE:
        return f"this machine's pages are {mmap.PAGESIZE} bytes, not {PAGE_BYTES}"
    return None
