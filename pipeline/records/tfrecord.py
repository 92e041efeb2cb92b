"""tf.train.Example and TFRecord framing, written without TensorFlow.

Build workers and the command start in a fraction of a second this way, and the order
of the keys, hence every byte of a shard, is ours to fix.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import google_crc32c

from alexnet.pipeline.files import atomic_path

if TYPE_CHECKING:
    import numpy as np

# A record: uint64 length, masked CRC32C of it, the data, masked CRC32C of the data.
HEADER_BYTES = 12
FOOTER_BYTES = 4
# Numbers of the fields of a Feature, which holds one of these lists of values.
BYTES_LIST, INT64_LIST = 1, 3


def encode_example(features: Mapping[str, bytes | int]) -> bytes:
    """A serialised tf.train.Example with one value a feature, keys in this order."""
    return field(1, b"".join(entry(key, value) for key, value in features.items()))


def entry(key: str, value: bytes | int) -> bytes:
    """One feature as an Example holds it: an entry of the map Features.feature."""
    return field(1, field(1, key.encode()) + field(2, _feature(value)))


def _feature(value: bytes | int) -> bytes:
    if isinstance(value, bytes):
        return field(BYTES_LIST, field(1, value))
    return field(INT64_LIST, field(1, _varint(value)))  # packed


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers are two's complement in 64 bits
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_example(record: bytes | memoryview, *keys: str) -> list[memoryview | int]:
    """The features `keys` of a serialised Example, one value each.

    Reading ends with the last of them, so what is needed often is best written first.

    Raises:
        ValueError: it is no Example, or lacks one of them.
    """
    wanted = {key.encode(): place for place, key in enumerate(keys)}
    found: list[memoryview | int] = [0] * len(keys)
    entries, _ = _first_field(memoryview(record))
    while wanted and entries:
        pair, entries = _first_field(entries)
        key, feature = _first_field(pair)
        place = wanted.pop(bytes(key), None)
        if place is not None:
            found[place] = _value(_first_field(feature)[0])
    if wanted:
        raise ValueError(f"an Example without {b', '.join(wanted).decode()}")
    return found


def _value(feature: memoryview) -> memoryview | int:
    """The first value of a Feature: of a BytesList or a packed Int64List."""
    values, _ = _first_field(feature)
    value, _ = _first_field(values)
    kind = feature[0] >> 3
    if kind == BYTES_LIST:
        return value
    if kind != INT64_LIST:
        raise ValueError("no tf.train.Example of bytes and whole numbers")
    return signed(read_varint(value, 0)[0])


def signed(number: int) -> int:
    """Return the signed number that 64 bits stand for in an Int64List."""
    return number - (number >> 63 << 64)


def _first_field(data: memoryview) -> tuple[memoryview, memoryview]:
    """The payload of the length-delimited field `data` begins with, and the rest."""
    size, start = read_varint(data, 1)
    end = start + size
    if data[0] & 7 != 2 or end > len(data):
        raise ValueError("no tf.train.Example: a field has no end")
    return data[start:end], data[end:]


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, of 64 bits, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & 2**64 - 1, at
    raise ValueError("no tf.train.Example: a number has no end")


def masked_crc(data: bytes | np.ndarray) -> int:
    """The CRC32C of `data`, rotated and offset as TFRecord files hold it."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(record: bytes) -> bytes:
    """`record` as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    head_crc, crc = (struct.pack("<I", masked_crc(part)) for part in (length, record))
    return b"".join((length, head_crc, record, crc))


class WrittenShard(NamedTuple):
    """The size and checksum of a shard file; the CRC32C is over the whole file."""

    num_examples: int
    num_bytes: int
    crc32c: int


def write_shard(path: Path, records: Iterable[bytes]) -> WrittenShard:
    """Write `records` as a TFRecord file that is whole or absent."""
    count = size = crc = 0
    with atomic_path(path) as partial, partial.open("wb") as file:
        for record in records:
            framed = frame(record)
            file.write(framed)
            crc = google_crc32c.extend(crc, framed)
            size += len(framed)
            count += 1
        file.flush()
    return WrittenShard(count, size, crc)
