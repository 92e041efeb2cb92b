"""The choice of a record set's reader: stream the shards, or map them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Literal

from alexnet.pipeline.config import Reader
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import format_bytes
from alexnet.pipeline.machine import REMOTE, file_system, read_memory
from alexnet.pipeline.records.fixed_layout import PAGE_BYTES
from alexnet.pipeline.records.record_set import RecordSet


@dataclass(frozen=True)
class ReaderChoice:
    """How a record set is read, and why so."""

    name: Literal["stream", "mmap", "photos"]
    reason: str

    @property
    def random_access(self) -> bool:
        """Whether examples are fetched by number, in any order."""
        return self.name != "stream"


def choose_reader(records: RecordSet, asked: Reader = "auto") -> ReaderChoice:
    """The reader that was asked for, or the better one for these records.

    Raises:
        ConfigError: they cannot be read in the way that was asked for.
    """
    hindrance = _why_not_mapped(records)
    if asked == "mmap" and hindrance:
        raise ConfigError(
            f"`reader='mmap'` cannot read {records.folder}: {hindrance}. Use"
            " `reader='stream'`, or build the records with `storage='jpeg'`, raw or"
            " yuv420."
        )
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
    return ReaderChoice("mmap", f"the records are {records.storage.name} on {kind}")


def _why_not_mapped(records: RecordSet) -> str | None:
    layout = records.manifest.layout
    if not records.storage.is_square:
        return "they hold original files, whose decoding is what takes the time"
    if layout is not None and layout.stride_bytes % mmap.PAGESIZE:
        return f"this machine's pages are {mmap.PAGESIZE} bytes, not {PAGE_BYTES}"
    return None
