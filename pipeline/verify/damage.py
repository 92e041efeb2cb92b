"""What is wrong with a shard: which records, from which byte on, and how.

A shard that is not what was written is walked record by record, without TensorFlow.
Where each one starts is known from the layout or the index; without them, the next
header whose checksum is right is searched for.
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


@dataclass(frozen=True)
class BadRecord:
    """A finding: a record of a file, or the file where `record` is None.

    `offset` is the record's first byte in the file, `key` the photo it was made of,
    where that is known.
    """

    shard: str
    record: int | None
    offset: int | None
    key: str | None
    reason: str


def bad_file(name: str, reason: str) -> BadRecord:
    """A finding that is about a whole file."""
    return BadRecord(name, None, None, None, reason)


def find_damage(folder: Path, shard: Shard, layout: Layout | None) -> list[BadRecord]:
    """What is wrong with a shard whose bytes are not those that were written."""
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
    """`bad` of a cut or grown shard; what is lost up to its end is one finding."""
    lost = len(spans)
    while bad and bad[-1].record == lost - 1:
        *bad, _ = bad
        lost -= 1
    reason = f"the file has {num_bytes} bytes, {shard.num_bytes} were written"
    at = spans[lost][0] if lost < len(spans) else min(num_bytes, shard.num_bytes)
    if lost == shard.num_examples:
        return [*bad, BadRecord(shard.name, None, at, None, reason)]
    reason += f": records {lost} to {shard.num_examples - 1} are lost"
    return [*bad, BadRecord(shard.name, lost, at, None, reason)]


def count_labels(
    folder: Path, shard: Shard, num_classes: int
) -> tuple[Counter[int | None], list[BadRecord]]:
    """The labels of a shard that is what was written, and its records without one.

    Whoever wrote it: a checksum that is right says nothing about that.
    """
    counts: Counter[int | None] = Counter()
    bad = []
    data, at = memoryview(_map(folder / shard.name)), 0
    while at < len(data):
        size = _framed_size(data, at) or len(data)
        framed = data[at : at + size]
        label = _label(framed) if len(framed) == size else None
        if label is None or not 0 <= label < num_classes:
            reason = f"label {label}, the last class is {num_classes - 1}"
            reason = "holds no label" if label is None else reason
            key = _key(framed)
            bad.append(BadRecord(shard.name, counts.total(), at, key, reason))
        counts[label] += 1
        at += size
    return counts, bad


def _map(path: Path) -> mmap.mmap | bytes:
    """A file's bytes, mapped; slices are copies."""
    with path.open("rb") as file:
        if not path.stat().st_size:  # cannot be mapped
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _spans(
    folder: Path, shard: Shard, layout: Layout | None, data: mmap.mmap | bytes
) -> list[Span]:
    """Where the records lie, or lay."""
    if layout is not None:
        stride = layout.stride_bytes
        return [(at, at + stride) for at in range(0, shard.num_bytes, stride)]
    with suppress(DataError):
        places = read_index(folder, shard).tolist()
        return [(at, at + size) for at, size in places]
    return _search_spans(data)


def _search_spans(data: mmap.mmap | bytes) -> list[Span]:
    """Where records lie: one behind the other, past damaged headers by search."""
    spans, at = [], 0
    while at < len(data):
        size = _framed_size(data, at)
        end = _next_header(data, at + 1) if size is None else at + size
        spans.append((at, end))
        at = end
    return spans


def _next_header(data: mmap.mmap | bytes, at: int) -> int:
    candidates = (match.start() for match in LIKE_A_LENGTH.finditer(data, at))
    whole = (at for at in candidates if _framed_size(data, at) is not None)
    return next(whole, len(data))


def _framed_size(data: mmap.mmap | bytes | memoryview, at: int) -> int | None:
    """The framed size of the record at `at`; None when its header is damaged."""
    header = bytes(data[at : at + HEADER_BYTES])
    if len(header) < HEADER_BYTES or masked_crc(header[:8]) != HEADER.unpack(header)[1]:
        return None
    return _framed_bytes(HEADER.unpack(header)[0])


def _framed_bytes(length: int) -> int:
    return HEADER_BYTES + length + FOOTER_BYTES


def _damage_in(framed: bytes, size: int) -> str | None:
    """What is wrong with a record that takes `size` bytes; None when nothing is."""
    if len(framed) < size or size < HEADER_BYTES + FOOTER_BYTES:
        return "is cut"
    length, length_crc = HEADER.unpack_from(framed)
    data = framed[HEADER_BYTES:-FOOTER_BYTES]
    right_header = struct.pack("<Q", len(data))
    off = masked_crc(data) ^ int.from_bytes(framed[-FOOTER_BYTES:], "little")
    damaged = {
        "length": length != len(data),
        "checksum of its length": length_crc != masked_crc(right_header),
        # Of data that is damaged, three bytes of the checksum are right by chance once
        # in four million times.
        "checksum of its data": off and _is_one_byte(off),
        "data": off and not _is_one_byte(off),
    }
    parts = [part for part, is_so in damaged.items() if is_so]
    return f"damaged {', '.join(parts)}" if parts else None


def _is_one_byte(value: int) -> bool:
    return sum(byte > 0 for byte in value.to_bytes(4, "little")) == 1


def _label(framed: memoryview) -> int | None:
    """A record's label; None where it has none."""
    with suppress(ValueError):
        (label,) = read_example(framed[HEADER_BYTES:-FOOTER_BYTES], LABEL)
        return label if isinstance(label, int) else None
    return None


def _key(framed: bytes | memoryview) -> str | None:
    """The photo's name as the record has it, where that can still be read."""
    with suppress(ValueError):
        (name,) = read_example(framed[HEADER_BYTES:-FOOTER_BYTES], FILENAME)
        if not isinstance(name, int):
            return bytes(name).decode("utf-8", "surrogateescape")
    return None
