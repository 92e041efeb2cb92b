"""Damage in a shard: which records are not what was written, and from which byte on.

A damaged shard is walked record by record, without TensorFlow. The layout or the index
says where each one starts; without them, the next header with a right checksum is
searched for.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.encode import FILENAME, LABEL
from alexnet.pipeline.records.fixed_layout import Layout
from alexnet.pipeline.records.interop import read_index
from alexnet.pipeline.records.manifest import MANIFEST, Shard
from alexnet.pipeline.records.tfrecord import (
    FOOTER_BYTES,
    HEADER_BYTES,
    masked_crc,
    read_example,
)

HEADER = struct.Struct("<QI")
# A length is neither 0 nor 4 GiB: its lower half has a bit, its upper half has none.
LIKE_A_LENGTH = re.compile(rb"(?=(?!\0{4})[\s\S]{4}\0{4})")

# A record's first byte in its file, and the byte behind its last.
Span = tuple[int, int]
Bytes = mmap.mmap | bytes | memoryview


@dataclass(frozen=True)
class BadRecord:
    """A damaged record of a file, or the damaged file where `record` is None.

    `offset` is the record's first byte in the file, `key` that of its photo, where it
    is known.
    """

    shard: str
    record: int | None
    offset: int | None
    key: str | None
    reason: str


def bad_file(name: str, reason: str) -> BadRecord:
    """Return the damage of a whole file."""
    return BadRecord(name, None, None, None, reason)


def find_damage(folder: Path, shard: Shard, layout: Layout | None) -> list[BadRecord]:
    """Return the damage of a shard whose bytes are not those that were written."""
    data = _map(folder / shard.name)
    spans = _spans(folder, shard, layout, data)[: shard.num_examples]
    bad = []
    for number, (start, end) in enumerate(spans):
        framed = data[start:end]
        if reason := _damage_in(framed, end - start):
            bad.append(BadRecord(shard.name, number, start, _key(framed), reason))
    if len(data) != shard.num_bytes:
        return _with_the_size(bad, shard, spans, len(data))
    reason = f"every record is whole, but they are not those of {MANIFEST}"
    return bad or [bad_file(shard.name, reason)]


def _with_the_size(
    bad: list[BadRecord], shard: Shard, spans: list[Span], num_bytes: int
) -> list[BadRecord]:
    """Return `bad` of a cut or grown shard, with all records lost at its end as one."""
    lost = len(spans)
    while bad and bad[-1].record == lost - 1:
        *bad, _ = bad
        lost -= 1
    reason = f"the file has {num_bytes} bytes, {shard.num_bytes} were written"
    start = spans[lost][0] if lost < len(spans) else min(num_bytes, shard.num_bytes)
    if lost == shard.num_examples:
        return [*bad, BadRecord(shard.name, None, start, None, reason)]
    reason += f": records {lost} to {shard.num_examples - 1} are lost"
    return [*bad, BadRecord(shard.name, lost, start, None, reason)]


def count_labels(
    folder: Path, shard: Shard, num_classes: int
) -> tuple[Counter[int | None], list[BadRecord]]:
    """Count the labels of an undamaged shard, and list its records without a right one.

    A right checksum says nothing about the program that wrote a record.
    """
    counts: Counter[int | None] = Counter()
    bad = []
    data, start = memoryview(_map(folder / shard.name)), 0
    while start < len(data):
        size = _framed_size(data, start) or len(data)
        framed = data[start : start + size]
        label = _label(framed) if len(framed) == size else None
        if label is None or not 0 <= label < num_classes:
            reason = f"label {label}, the last class is {num_classes - 1}"
            reason = "holds no label" if label is None else reason
            key = _key(framed)
            bad.append(BadRecord(shard.name, counts.total(), start, key, reason))
        counts[label] += 1
        start += size
    return counts, bad


def _map(path: Path) -> mmap.mmap | bytes:
    """Return a file's bytes, mapped; slices are copies."""
    with path.open("rb") as file:
        if not path.stat().st_size:  # cannot be mapped
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _spans(
    folder: Path, shard: Shard, layout: Layout | None, data: mmap.mmap | bytes
) -> list[Span]:
    """Return the places of the records, also of those that are cut off."""
    if layout is not None:
        stride = layout.stride_bytes
        starts = range(0, shard.num_bytes, stride)
        return [(start, start + stride) for start in starts]
    with suppress(DataError):
        places = read_index(folder, shard).tolist()
        return [(start, start + size) for start, size in places]
    return _search_spans(data)


def _search_spans(data: mmap.mmap | bytes) -> list[Span]:
    """Return the places of records that follow one another behind whole headers."""
    spans, start = [], 0
    while start < len(data):
        size = _framed_size(data, start)
        end = _next_header(data, start + 1) if size is None else start + size
        spans.append((start, end))
        start = end
    return spans


def _next_header(data: mmap.mmap | bytes, start: int) -> int:
    candidates = (match.start() for match in LIKE_A_LENGTH.finditer(data, start))
    whole = (at for at in candidates if _framed_size(data, at) is not None)
    return next(whole, len(data))


def _framed_size(data: Bytes, start: int) -> int | None:
    """Return a record's size with its frame; None where its header is damaged."""
    header = bytes(data[start : start + HEADER_BYTES])
    if len(header) < HEADER_BYTES:
        return None
    length, length_crc = HEADER.unpack(header)
    if masked_crc(header[:8]) != length_crc:
        return None
    return HEADER_BYTES + int(length) + FOOTER_BYTES


def _damage_in(framed: bytes, size: int) -> str | None:
    """Return the damage of a record that takes `size` bytes; None without any."""
    if len(framed) < size or size < HEADER_BYTES + FOOTER_BYTES:
        return "is cut"
    if _framed_size(framed, 0) != size:
        return "damaged header"
    data_crc = int.from_bytes(framed[-FOOTER_BYTES:], "little")
    whole = masked_crc(framed[HEADER_BYTES:-FOOTER_BYTES]) == data_crc
    return None if whole else "damaged data"


def _label(framed: memoryview) -> int | None:
    """Return a record's label; None where it has none."""
    with suppress(ValueError):
        (label,) = read_example(framed[HEADER_BYTES:-FOOTER_BYTES], LABEL)
        return label if isinstance(label, int) else None
    return None


def _key(framed: bytes | memoryview) -> str | None:
    """Return the photo's key that a record holds; None where it is damaged."""
    with suppress(ValueError):
        (name,) = read_example(framed[HEADER_BYTES:-FOOTER_BYTES], FILENAME)
        if not isinstance(name, int):
            return bytes(name).decode("utf-8", "surrogateescape")
    return None
