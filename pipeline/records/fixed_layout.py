"""Records that can be mapped: the same length each, pixels at the same place.

A shard of them is an ordinary TFRecord file and also a matrix uint8 [records, stride],
whose rows a reader gathers straight from the page cache. Written without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.records.storage import RAW, STORAGES
from alexnet.pipeline.records.tfrecord import FOOTER_BYTES, HEADER_BYTES, entry, field

# A stride is a multiple of the page, so that shards can be mapped one after another.
PAGE_BYTES = 4096
# TensorFlow's kernels take tensors that start on such a boundary.
ALIGNMENT_BYTES = 64
# Fills a record up, before the pixels and after the names.
PADDING = "padding"
PADDING_END = "padding/end"
# Numbers of a fixed width: protobuf reads the zeros that a longer varint ends with.
LENGTH_WIDTH = 4  # holds 28 bits
LABEL_WIDTH = 5  # holds 35 bits
OUTER_BYTES = 1 + LENGTH_WIDTH


@dataclass(frozen=True)
class Layout:
    """The places of a record's label and pixels, in bytes from the record's start."""

    stride_bytes: int
    label_offset: int
    pixel_offset: int
    pixel_bytes: int


def plan_layout(config: BuildConfig, longest_names_bytes: int) -> Layout | None:
    """The layout of a record set; None for storages that are not mapped.

    `longest_names_bytes` is the most that a file's key and its class name come to.
    """
    storage = STORAGES[config.storage]
    if not storage.is_pixels:
        return None
    size = storage.pixel_bytes(config.side)
    head = _head(0, config) + _padding(PADDING, 0) + _pixel_entry(size)
    start = HEADER_BYTES + OUTER_BYTES
    offset = _round_up(start + len(head), ALIGNMENT_BYTES)
    tail = _names(b"", b"") + _padding(PADDING_END, 0)
    # Lengths of the names take up to three bytes more at each of their four levels.
    most = len(tail) + longest_names_bytes + 24 + FOOTER_BYTES
    stride = _round_up(offset + size + most, PAGE_BYTES)
    label_end = start + len(_label_entry(0))
    return Layout(stride, label_end - LABEL_WIDTH, offset, size)


def encode_fixed(
    label: int,
    class_name: bytes,
    filename: bytes,
    pixels: bytes,
    config: BuildConfig,
    layout: Layout,
) -> bytes:
    """A serialised Example of the layout's length, its pixels at the layout's offset.

    Raises:
        BadImage: its names are longer than the layout was planned for.
    """
    start = HEADER_BYTES + OUTER_BYTES
    head, pixel_entry = _head(label, config), _pixel_entry(len(pixels))
    gap = layout.pixel_offset - start - len(head) - len(pixel_entry)
    front = head + _padding_to(PADDING, gap) + pixel_entry + pixels
    names = _names(class_name, filename)
    left = layout.stride_bytes - FOOTER_BYTES - start - len(front) - len(names)
    if left < len(_padding(PADDING_END, 0)):
        raise BadImage("its name is too long for the records' fixed length")
    entries = front + names + _padding_to(PADDING_END, left)
    return field(1, b"")[:1] + fixed_varint(len(entries), LENGTH_WIDTH) + entries


def _head(label: int, config: BuildConfig) -> bytes:
    constants: Mapping[str, bytes | int] = {
        "image/channels": 3,
        "image/colorspace": STORAGES[config.storage].colorspace,
        "image/format": config.storage.encode(),
        "image/height": config.side,
        "image/width": config.side,
    }
    return _label_entry(label) + b"".join(entry(k, v) for k, v in constants.items())


def _label_entry(label: int) -> bytes:
    value = field(3, field(1, fixed_varint(label, LABEL_WIDTH)))
    return field(1, field(1, b"image/class/label") + field(2, value))


def _names(class_name: bytes, filename: bytes) -> bytes:
    return entry("image/class/text", class_name) + entry("image/filename", filename)


def _pixel_entry(size: int) -> bytes:
    """Return the bytes that stand before the pixels in their entry."""
    return entry(RAW, bytes(size))[:-size]


def _padding_to(key: str, size: int) -> bytes:
    return _padding(key, size - len(_padding(key, 0)))


def _padding(key: str, size: int) -> bytes:
    """An entry of zeros whose own length is a constant plus `size`."""
    value = bytes(size)
    for number in (1, 1, 2):  # BytesList.value, Feature.bytes_list, the entry's value
        value = _fixed_field(number, value)
    return _fixed_field(1, field(1, key.encode()) + value)


def _fixed_field(number: int, payload: bytes) -> bytes:
    tag = field(number, b"")[:1]
    return tag + fixed_varint(len(payload), LENGTH_WIDTH) + payload


def fixed_varint(value: int, width: int) -> bytes:
    """`value` as a varint of `width` bytes."""
    low = [value >> 7 * place & 127 | 128 for place in range(width - 1)]
    return bytes([*low, value >> 7 * (width - 1)])


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
