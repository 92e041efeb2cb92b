"""The graph reads the orientation that Pillow reads, of sound and of broken blocks."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.model.results.exif import orientation_of
from alexnet.pipeline.records.image import ORIENTATION_TAG

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
HEADS = {"<": b"II*\0", ">": b"MM\0*"}
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" /></x:xmpmeta>'
orientation = tf.function(orientation_of, [tf.TensorSpec([], tf.string)] * 2)


def entry(order: str, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HHI", tag, kind, count) + value


def block(order: str, *entries: bytes, after: bytes = b"") -> bytes:
    """An EXIF block with one directory."""
    head = HEADS[order] + struct.pack(f"{order}IH", 8, len(entries))
    return b"Exif\0\0" + head + b"".join(entries) + bytes(4) + after


def short(order: str, value: int) -> bytes:
    value_bytes = struct.pack(f"{order}HH", value, 0)
    return entry(order, ORIENTATION_TAG, 3, 1, value_bytes)


def pillows(exif: bytes, xmp: bytes) -> int:
    image = Image.new("RGB", (1, 1))
    image.info = {k: v for k, v in (("exif", exif), ("xmp", xmp)) if v}
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken beyond reading
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@pytest.mark.parametrize("order", HEADS)
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_in_both_byte_orders(order: str, value: int) -> None:
    make = entry(order, 0x10F, 2, 6, struct.pack(f"{order}I", 38))
    exif = block(order, make, short(order, value), after=b"maker\0")
    assert orientation(exif, b"") == value


@pytest.mark.parametrize(
    ("exif", "xmp", "value"),
    [
        (b"", b"", 1),
        (b"", XMP, 6),
        (b"", b"<tiff:Orientation>8</tiff:Orientation>", 8),
        (b"", b"\xff" + XMP + b"\xfe", 6),
        (b"", XMP.replace(b"6", b"9"), 1),
        (block("<"), XMP, 6),
        (block("<", short("<", 3)), XMP, 3),
        (block(">", short(">", 0)), XMP, 1),
        (block(">", short(">", 9)), b"", 1),
        (b"Exif\0\0", b"", 1),
        (b"Exif\0\0XX*\0\0\0\0\x08", XMP, 1),
        (block("<", entry("<", ORIENTATION_TAG, 4, 1, b"\6\0\0\0")), b"", 6),
        (block("<", entry("<", ORIENTATION_TAG, 2, 2, b"6\0\0\0")), b"", 1),
        # A value that is not there ends Pillow's reading.
        (block("<", entry("<", 0x10F, 2, 99, b"\xff\0\0\0"), short("<", 6)), b"", 1),
    ],
)
def test_what_a_file_may_tell(exif: bytes, xmp: bytes, value: int) -> None:
    assert orientation(exif, xmp) == value == pillows(exif, xmp)


def test_broken_blocks_are_read_as_pillow_reads_them() -> None:
    rng = np.random.default_rng(3)
    values = []
    for _ in range(300):
        order = rng.choice(list(HEADS))
        entries = [
            entry(
                order,
                rng.choice([0x100, ORIENTATION_TAG, ORIENTATION_TAG, 0x8769]),
                rng.choice([3, 3, 3, *range(15), 200]),
                rng.choice([0, 1, 1, 1, 2, 3, 100]),
                struct.pack(
                    f"{order}HH", *rng.choice([[1, 0], [8, 0], [3, 0], [0, 5]])
                ),
            )
            for _ in range(rng.integers(1, 5))
        ]
        exif = bytearray(block(order, *entries, after=rng.bytes(20)))
        if rng.random() < 0.3:
            exif[rng.integers(len(exif))] ^= 1 << rng.integers(8)
        if rng.random() < 0.3:
            del exif[rng.integers(len(exif)) :]
        xmp = rng.choice([b"", XMP])
        expected = pillows(bytes(exif), xmp)
        assert orientation(bytes(exif), xmp) == expected, bytes(exif)
        values.append(expected)
    assert {1, 3, 6, 8} <= set(values)
