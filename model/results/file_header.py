"""The header of an image file, read by TensorFlow's operations alone.

A served model learns here how the picture is to be turned, and which files it would not
show as `pipeline.records` does: those it refuses by the name of their kind.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from alexnet.model.results.exif import (
    EXIF_HEAD,
    exif_orientation,
    number,
    orientation_of,
)
from alexnet.pipeline.records.image import MAX_PIXELS, MAX_SCANS, START_OF_SCAN

TAKEN = "JPEG, PNG and 24-bit BMP"
REFUSED = "WebP, TIFF, GIF, HEIC, AVIF, JPEG 2000, CMYK JPEG and other BMP"
WAY_OUT = "convert it to JPEG or PNG, or send its pixels to the signature `pixels`"
# Kinds by the number at a place of the file.
OTHERS = (
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftyp", "HEIC, AVIF or a video"),
    (4, b"jP  ", "JPEG 2000"),
)
# JPEG markers (ITU-T T.81, table B.1): frames, the one of many scans, those without a
# length, and frames that both libraries decode.
FRAMES = tuple({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
PROGRESSIVE, RESTART, END_OF_IMAGE, SCAN = (0xC2, 0xCA), 0xD0, 0xD9, 0xDA
DECODED_FRAMES = (0xC0, 0xC1, *PROGRESSIVE, 0xC9)
APP1, XMP_HEAD = 0xE1, b"http://ns.adobe.com/xap/1.0/\0"
# The places of a PNG's bit depth and colour type, and the types with alpha.
PNG_DEPTH, PNG_COLOUR, ALPHA_COLOURS = 24, 25, (4, 6)
# PNG's text chunks that hold EXIF and XMP.
EXIF_TEXT, XMP_TEXT = b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"


class Header(NamedTuple):
    """The header's scalars: a string, three int64 and a bool."""

    # Empty where the file is shown.
    refusal: tf.Tensor
    orientation: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    has_alpha: tf.Tensor


def kind_of(data: tf.Tensor) -> tf.Tensor:
    """int32 []: 0 of a JPEG, 1 of a PNG, 2 of a BMP, 3 of another file."""
    marks = (b"\xff\xd8\xff", b"\x89PNG", b"BM")
    return _first([_is_at(data, 0, mark) for mark in marks])


def read_header(file: tf.Tensor, data: tf.Tensor) -> Header:
    """The header of a file: its bytes, string [], and once more, uint8 [bytes]."""
    readers = (_read_jpeg, _read_png, _read_bmp, _read_other)
    branches = [lambda read=read: read(file, data) for read in readers]
    header = Header(*tf.switch_case(kind_of(data), branches))
    large = header.width * header.height > MAX_PIXELS
    refusal = _refusal((large, f"more than {MAX_PIXELS:,} pixels: scale it down"))
    return header._replace(
        refusal=tf.where(header.refusal == "", refusal, header.refusal)
    )


def _read_jpeg(file: tf.Tensor, data: tf.Tensor) -> Header:
    frame, exif, xmp = _walk_jpeg(file, data)
    code, bits = number(data, frame + 1, 1), number(data, frame + 4, 1)
    rare = ~_is_one_of(code, DECODED_FRAMES) | (bits != 8)
    scans = tf.size(tf.strings.split(file, START_OF_SCAN)) - 1
    endless = _is_one_of(code, PROGRESSIVE) & (scans > MAX_SCANS)
    colours = number(data, frame + 9, 1)
    return Header(
        _refusal(
            (rare, f"JPEG that is damaged, lossless or of 12 bits: {WAY_OUT}"),
            (endless, f"JPEG of more than {MAX_SCANS} scans: {WAY_OUT}"),
            (~_is_one_of(colours, (1, 3)), f"CMYK JPEG: {WAY_OUT}"),
        ),
        orientation_of(exif, xmp),
        width=number(data, frame + 7, 2),
        height=number(data, frame + 5, 2),
        has_alpha=tf.constant(False),
    )


def _walk_jpeg(
    file: tf.Tensor, data: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The place of the frame's segment, int64 [], and EXIF and XMP, string []."""
    at, frame = tf.constant(2, tf.int64), tf.constant(0, tf.int64)
    code, exif, xmp = tf.constant(0, tf.int64), tf.constant(b""), tf.constant(b"")
    end = tf.size(data, tf.int64)
    while (at < end) & (code != SCAN):
        code, length = number(data, at + 1, 1), number(data, at + 2, 2)
        # Anything else before a marker is passed over, as by Pillow.
        stray = (number(data, at, 1) != 0xFF) | (code == 0) | (code == 0xFF)
        code = tf.where(~stray, code, 0)
        bare = (code >= RESTART) & (code <= END_OF_IMAGE)
        frame = tf.where(_is_one_of(code, FRAMES), at, frame)
        inside = tf.maximum(length - 2, 0)
        body = tf.strings.substr(file, tf.minimum(at + 4, end), inside)
        body = tf.where(code == APP1, body, b"")
        part = tf.strings.regex_replace(body, EXIF_HEAD, "")
        exif += tf.where(part != body, part, b"")
        xmp = tf.where(_starts(body, XMP_HEAD), body, xmp)
        at += tf.where(~stray, tf.where(~bare, length + 2, 2), 1)
    return frame, exif, xmp


def _read_png(file: tf.Tensor, data: tf.Tensor) -> Header:
    exif, xmp, hides, is_keyed = _walk_png(file, data)
    hides &= exif_orientation(exif) == 0
    return Header(
        _refusal((hides, f"PNG with EXIF or packed XMP in a text chunk: {WAY_OUT}")),
        orientation_of(exif, xmp),
        width=number(data, 16, 4),
        height=number(data, 20, 4),
        has_alpha=is_keyed | _is_one_of(number(data, PNG_COLOUR, 1), ALPHA_COLOURS),
    )


def _walk_png(
    file: tf.Tensor, data: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Read EXIF and XMP, string [], and two bool []: more hidden, colours transparent.

    More of them may hide in text chunks.
    """
    at, end = tf.constant(8, tf.int64), tf.size(data, tf.int64)
    exif, xmp = tf.constant(b""), tf.constant(b"")
    hides, is_keyed = tf.constant(False), tf.constant(False)
    while at < end:
        length = number(data, at, 4)
        name = tf.strings.substr(file, tf.minimum(at + 4, end), 4)
        body = tf.strings.substr(file, tf.minimum(at + 8, end), length)
        is_text = (name == b"tEXt") | (name == b"iTXt") | (name == b"zTXt")
        # The byte behind the keyword of an iTXt says that the text is not packed.
        is_xmp = ((name == b"tEXt") & _starts(body, XMP_TEXT)) | (
            (name == b"iTXt") & _starts(body, XMP_TEXT + b"\0")
        )
        other = _starts(body, EXIF_TEXT) | (_starts(body, XMP_TEXT) & ~is_xmp)
        exif = tf.where(name == b"eXIf", body, exif)
        xmp = tf.where(is_xmp, body, xmp)
        hides |= is_text & other
        is_keyed |= name == b"tRNS"
        at += length + 12
    return exif, xmp, hides, is_keyed


def _read_bmp(_: tf.Tensor, data: tf.Tensor) -> Header:
    own_header, width, height = (number(data, at, 4, True) for at in (14, 18, 22))
    plain = (number(data, 28, 2, True) == 24) & (number(data, 30, 4, True) == 0)
    height = tf.where(height < 2**31, height, 2**32 - height)  # rows from the top
    other = f"BMP that is not of 24 bits: {WAY_OUT}"
    return Header(
        _refusal((~plain | (own_header < 40), other)),
        tf.constant(1, tf.int64),
        width,
        height,
        tf.constant(False),
    )


def _read_other(_: tf.Tensor, data: tf.Tensor) -> Header:
    named = [
        (_is_at(data, at, mark), f"{kind}: {WAY_OUT}") for at, mark, kind in OTHERS
    ]
    unknown = (tf.constant(True), f"not {TAKEN}: {WAY_OUT}")
    one = tf.constant(1, tf.int64)
    return Header(_refusal(*named, unknown), one, one, one, tf.constant(False))


def _refusal(*reasons: tuple[tf.Tensor, str]) -> tf.Tensor:
    """string []: the text of the first reason that holds, empty where none does."""
    texts = tf.constant([*(text for _, text in reasons), ""])
    return texts[_first([holds for holds, _ in reasons])]


def _first(conditions: list[tf.Tensor]) -> tf.Tensor:
    """int32 []: the number of the first that holds, or how many there are."""
    holding = tf.cast(tf.stack([*conditions, True]), tf.int32)
    return tf.argmax(holding, output_type=tf.int32)


def _is_at(data: tf.Tensor, at: int, mark: bytes) -> tf.Tensor:
    return number(data, at, len(mark)) == int.from_bytes(mark, "big")


def _starts(text: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.strings.substr(text, 0, len(start)) == start


def _is_one_of(code: tf.Tensor, codes: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(code == tf.constant(codes, tf.int64))
