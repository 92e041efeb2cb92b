"""The orientation that an image file tells, read by TensorFlow's operations alone.

A served model has no Python to ask. Where a file breaks the rules, this reads of it
what Pillow reads: entries in their order, up to the first whose value is not there.
"""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.records.image import ORIENTATION_TAG

EXIF_HEAD = r"^(?:Exif\x00\x00)+"
# TIFF's two byte orders, and what some software writes instead, as Pillow allows it.
HEADS = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0")
ENTRY_BYTES = 12
HEAD_BYTES = 8
# Bytes of a value of kind 0 (no kind), 1, 2 ... 13 (TIFF 6.0, section 2), and the kinds
# that Pillow takes for whole numbers.
KIND_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
WHOLE_KINDS = (3, 4, 6, 8, 9, 13)
XMP_PATTERN = r"^\C*?tiff:Orientation(?:=\"|>)([0-9])\C*$"


def orientation_of(exif: tf.Tensor, xmp: tf.Tensor) -> tf.Tensor:
    """int64 [] in 1 to 8: the EXIF orientation; XMP's where EXIF has none; else 1.

    Both are string [], the bytes of the block, empty where the file has none.
    """
    told = exif_orientation(exif)
    told = tf.where(told == 0, xmp_orientation(xmp), told)
    return tf.where((told >= 1) & (told <= 8), told, 1)


def xmp_orientation(xmp: tf.Tensor) -> tf.Tensor:
    """int64 []: the digit in an XMP packet; 0 where there is none."""
    digit = tf.strings.regex_replace(xmp, XMP_PATTERN, r"\1")
    code = number(tf.io.decode_raw(digit, tf.uint8), 0, 1)
    return tf.where(tf.strings.length(digit) == 1, code - ord("0"), 0)


def exif_orientation(exif: tf.Tensor) -> tf.Tensor:
    """int64 []: the number in the first directory; 0 where absent, -1 where broken."""
    data = tf.io.decode_raw(tf.strings.regex_replace(exif, EXIF_HEAD, ""), tf.uint8)
    head = number(data, 0, 4)
    sound = tf.reduce_any(head == [int.from_bytes(known, "big") for known in HEADS])
    little = number(data, 0, 2) == int.from_bytes(b"II", "big")
    start = number(data, 4, 4, little)
    kind, size, place = _orientation_entry(data, start, little)
    width = tf.gather(tf.constant(KIND_BYTES, tf.int64), kind)
    value = number(data, place, width, little)
    whole = tf.reduce_any(kind == tf.constant(WHOLE_KINDS, tf.int64))
    told = tf.where(size > 0, tf.where(whole & (value > 0), value, -1), 0)
    sound = (sound & (tf.size(data) >= HEAD_BYTES)) | (tf.size(data) == 0)
    return tf.where(sound, told, -1)


def _orientation_entry(
    data: tf.Tensor, start: tf.Tensor, little: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The kind, the bytes and the place of the orientation's value; bytes 0: absent."""
    length = tf.size(data, tf.int64)
    room = tf.maximum(length - start - 2, 0) // ENTRY_BYTES
    count = tf.minimum(number(data, start, 2, little), room)
    first = tf.minimum(start + 2, length)
    rows = tf.reshape(data[first : first + count * ENTRY_BYTES], [count, ENTRY_BYTES])
    tags, kinds, counts, offsets = (
        _fold(column, little) for column in tf.split(rows, [2, 2, 4, 4], axis=1)
    )
    kinds = tf.where(kinds < len(KIND_BYTES), kinds, 0)
    sizes = counts * tf.gather(tf.constant(KIND_BYTES, tf.int64), kinds)
    # Where a value is not there, Pillow reads no further.
    missing = (sizes > 4) & (offsets + sizes > length)
    readable = (tf.cumsum(tf.cast(missing, tf.int32)) == 0) & (sizes > 0)
    inside = first + tf.range(count) * ENTRY_BYTES + 8
    places = tf.where(sizes > 4, offsets, inside)
    entries = tf.stack([kinds, sizes, places], axis=1)
    ours = tf.boolean_mask(entries, readable & (tags == ORIENTATION_TAG))
    # Of several the last counts.
    kind, size, place = tf.unstack(tf.concat([[[0, 0, 0]], ours], axis=0)[-1])
    return kind, size, place


def number(
    data: tf.Tensor,
    at: tf.Tensor | int,
    size: tf.Tensor | int,
    little: tf.Tensor | bool = False,
) -> tf.Tensor:
    """int64 []: the bytes of a number at a place in uint8 [bytes].

    What lies behind the end is not there, and makes the number smaller.
    """
    return _fold(data[at : at + size], little)


def _fold(digits: tf.Tensor, little: tf.Tensor | bool) -> tf.Tensor:
    """int64 [...] from the bytes on the last axis, the lowest first if `little`."""
    digits = tf.where(little, digits, tf.reverse(digits, [-1]))
    powers = 8 * tf.range(tf.shape(digits, tf.int64)[-1])
    return tf.reduce_sum(tf.bitwise.left_shift(tf.cast(digits, tf.int64), powers), -1)
