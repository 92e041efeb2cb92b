"""The image formats there are: how to know a file of each, and which are read.

A file is an image by its ending or by its first bytes. One of a format that is not read
is set aside with the way out, instead of being overlooked.
"""

from __future__ import annotations

import re
from posixpath import splitext
from typing import NamedTuple

# DICOM has its mark farthest from the start.
HEAD_BYTES = 132


class Format(NamedTuple):
    """An image format: what marks its files, and who reads them.

    `magic` is a regular expression of the first bytes, `tail` the last bytes. One that
    is read has Pillow's names for it, any other the way out.
    """

    name: str
    endings: str
    magic: bytes
    pillow: str = ""
    advice: str = ""
    tail: bytes = b""


CAMERA_RAW = Format(
    "a camera raw file",
    "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef raf rw2"
    " rwl sr2 srf srw x3f",
    rb"II\*\0.{4}CR|.{4}ftypcrx|II.{4}HEAPCCDR|FUJIFILMCCD-RAW|II(?:RO|RS|U\0)"
    rb"|MMOR|FOVb|\0MRM",
    advice="develop it to JPEG",
)
# The first that fits is taken: a Canon raw file is also a TIFF, an AVIF also a HEIF.
FORMATS = (
    Format("a JPEG", "jpg jpeg jpe jfif jif pjpeg pjp mpo", rb"\xff\xd8\xff", "JPEG"),
    Format("a PNG", "png apng", rb"\x89PNG", "PNG"),
    Format("a GIF", "gif", rb"GIF8", "GIF"),
    # The size of the header at 14 has zeros in it, as no text has.
    Format("a BMP", "bmp dib", rb"BM.{13}\0\0\0", "BMP DIB"),
    Format("a WebP", "webp", rb"RIFF.{4}WEBP", "WEBP"),
    CAMERA_RAW,
    Format("a TIFF", "tif tiff", rb"II[*+]\0|MM\0[*+]", "TIFF"),
    Format(
        "an AVIF",
        "avif avifs",
        rb".{4}ftyp(?:avi[fs]|m[is]f1.{4}(?:.{4}){0,16}avi[fs])",
        "AVIF",
    ),
    Format(
        "a JPEG 2000",
        "jp2 j2k j2c jpc jpf jpx jpg2",
        rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
        "JPEG2000",
    ),
    # White space and two numbers, or a comment: more than a text has that begins so.
    Format(
        "a PPM",
        "ppm pgm pbm pnm pfm",
        rb"P[1-6]\s+(?:#|\d+\s+\d)|Pf\s+\d+\s+\d",
        "PPM",
    ),
    Format(
        "HEIC",
        "heic heif heics heifs hif",
        rb".{4}ftyp(?:hei|hev|m[is]f1)",
        advice="convert it to JPEG",
    ),
    Format(
        "JPEG XL",
        "jxl",
        rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
        advice="convert it to JPEG or PNG",
    ),
    Format("JPEG XR", "jxr wdp hdp", rb"II\xbc", advice="convert it to JPEG or PNG"),
    Format("a Photoshop file", "psd psb", rb"8BPS", advice="export it as PNG"),
    Format("a GIMP file", "xcf", rb"gimp xcf ", advice="export it as PNG"),
    Format(
        "a TGA",
        "tga",
        rb"(?!)",  # nothing at its start is sure
        advice="convert it to PNG",
        tail=b"TRUEVISION-XFILE.\0",
    ),
    Format(
        "an icon",
        "ico cur",
        rb"\0\0[\x01\x02]\0[\x01-\x40]\0.{3}\0",
        advice="convert it to PNG",
    ),
    Format("OpenEXR", "exr", rb"\x76\x2f\x31\x01", advice="tone-map it to PNG"),
    Format("Radiance HDR", "", rb"#\?R(?:ADIANCE|GBE)", advice="tone-map it to PNG"),
    Format("a DDS texture", "dds", rb"DDS \x7c", advice="convert it to PNG"),
    Format("QOI", "qoi", rb"qoif", advice="convert it to PNG"),
    Format("DICOM", "dcm dicom", rb".{128}DICM", advice="export it as PNG"),
    Format("a drawing in EPS", "eps", rb"%!PS", advice="export it as PNG"),
    Format(
        "a drawing in SVG",
        "svg svgz",
        rb"\s*(?:<\?xml[^>]*>\s*)?<(?:svg|!DOCTYPE svg)",
        advice="export it as PNG",
    ),
)

# What else lies under an image's name, by its first bytes.
OTHERS = (
    (rb"version https://git-lfs", "a Git LFS pointer: run `git lfs pull`"),
    (rb"(?:\xef\xbb\xbf)?\s*<", "a web page, not the image: fetch it again"),
    (rb"%PDF", "a PDF: export its pages as PNG"),
    (rb"PK\x03\x04", "a zip archive: unpack it"),
    (rb"\x1f\x8b", "gzip data: unpack it"),
    (rb"7z\xbc\xaf|Rar!|BZh|\xfd7zXZ", "an archive: unpack it"),
    (
        rb".{4}ftyp|.{4}moov|RIFF.{4}AVI |\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]|FLV\x01",
        "a video: take frames out of it",
    ),
    (rb"\0\x05\x16\x07", "what macOS notes of a file, without the image: delete it"),
)

ENDINGS = {f".{end}": kind for kind in FORMATS for end in kind.endings.split()}
MAGIC = re.compile(b"|".join(kind.magic for kind in FORMATS), re.DOTALL)
# Pillow's plugins for what is read.
PLUGINS = tuple(" ".join(kind.pillow for kind in FORMATS).split())


def has_image_suffix(key: str) -> bool:
    """Return whether the name ends as an image file's does."""
    return _ending(key) in ENDINGS


def has_image_magic(head: bytes) -> bool:
    """Return whether a file's first `HEAD_BYTES` bytes are those of an image."""
    return MAGIC.match(head) is not None


def is_camera_raw(key: str) -> bool:
    """Return whether the name ends as a camera's raw file does."""
    return ENDINGS.get(_ending(key)) is CAMERA_RAW


def describe(data: bytes, key: str = "") -> str:
    """Say what an unreadable file seems to be, by its content or its name."""
    head = data[:HEAD_BYTES]
    for kind in FORMATS:
        by_tail = kind.tail and data.endswith(kind.tail)
        if by_tail or re.match(kind.magic, head, re.DOTALL):
            return looks_like(kind)
    for magic, what in OTHERS:
        if re.match(magic, head, re.DOTALL):
            return f"it looks like {what}"
    unknown = f"not an image of a known format (it begins with {data[:8].hex(' ')})"
    named = ENDINGS.get(_ending(key))
    if named is None or named.pillow:
        return unknown
    return looks_like(named)


def looks_like(kind: Format) -> str:
    """Say that a file is of this format, and why it cannot be used."""
    fault = " with a damaged or rare header" if kind.pillow else f": {kind.advice}"
    return f"it looks like {kind.name}{fault}"


def _ending(key: str) -> str:
    return splitext(key)[1].lower()
