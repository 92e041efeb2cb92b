"""Which files are images, and what others are called, by hand and by Pillow.

`odd_photos` has more of what is not read.
"""

from __future__ import annotations

import io

import pytest
from PIL import Image

from alexnet.pipeline.records.image_formats import (
    FORMATS,
    HEAD_BYTES,
    PLUGINS,
    describe,
    has_image_magic,
    has_image_suffix,
)

IMAGES = "JPEG PNG GIF BMP WEBP TIFF AVIF JPEG2000 PPM ICO DDS QOI".split()


def saved(file_format: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (64, 64)).save(file, file_format)
    return file.getvalue()


@pytest.mark.parametrize(
    "name",
    "a.jpg a.JPEG b/c.png a.tiff a.avif a.jp2 a.j2k a.ppm a.pgm a.heic a.HEIF a.jxl"
    " a.psd a.tga a.cr2 a.CR3 a.nef a.arw a.dng a.raf a.orf a.rw2 a.ico".split(),
)
def test_images_are_known_by_their_ending(name: str) -> None:
    assert has_image_suffix(name)


@pytest.mark.parametrize(
    "name",
    "jpg a.txt a.csv a.jpg.txt .jpg a.db a.mp4 a.pdf a.zip a.html a.jpg/b".split(),
)
def test_others_are_no_images_by_their_ending(name: str) -> None:
    assert not has_image_suffix(name)


@pytest.mark.parametrize("file_format", IMAGES)
def test_images_are_known_by_their_first_bytes(file_format: str) -> None:
    assert has_image_magic(saved(file_format)[:HEAD_BYTES])


def test_every_plugin_writes_what_is_known() -> None:
    for plugin in PLUGINS:
        if plugin != "DIB":  # a BMP without the first 14 bytes, which name it
            assert has_image_magic(saved(plugin)[:HEAD_BYTES]), plugin
    for mode, magic in (("1", b"P4"), ("L", b"P5"), ("RGB", b"P6"), ("F", b"Pf")):
        data = saved("PPM", mode)
        assert data.startswith(magic) and has_image_magic(data[:HEAD_BYTES])


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"BM", b"BMW and Audi are makers of cars", b"P1 is the first", b"P6"),
        *(b"P5,12,3\n", b"GIF", b"II", b"cat,dog\n", b"RIFF\0\0\0\0WAVE", bytes(132)),
        *(b"SQLite format 3\0", b"\0\0\0\1Bud1", b"\xd0\xcf\x11\xe0", b"%PDF-1.7"),
        *(b"PK\3\4", b"<!doctype html>", b"<?xml version='1.0'?><annotation/>"),
        *(b"\0\0\0\x18ftypmp42", b"version https://git-lfs", b"B\0M\0W\0" * 9),
    ],
)
def test_text_and_databases_are_no_images(head: bytes) -> None:
    assert not has_image_magic(head)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "an AVIF with a damaged"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (
            b"II*\0\x10\0\0\0CR\2\0",
            "it looks like a camera raw file: develop it to JPEG",
        ),
        (b"\0\0\0\x18ftypcrx ", "a camera raw file"),
        (b"IIRO\x08\0\0\0", "a camera raw file"),
        (b"IIU\0\x08\0\0\0", "a camera raw file"),
        (bytes(128) + b"DICM", "DICOM: export it as PNG"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b"<?xml version='1.0'?>\n<svg/>", "a drawing in SVG: export it as PNG"),
        (b"\x1aE\xdf\xa3", "a video"),
    ],
)
def test_what_is_not_read_is_named_with_the_way_out(data: bytes, said: str) -> None:
    assert said in describe(data)


def test_a_name_tells_what_the_content_does_not() -> None:
    assert describe(b"??", "a.NEF") == describe(b"FOVb")
    assert describe(b"??", "a.jpg") == describe(b"??")
    assert describe(b"%PDF", "a.heic") == "it looks like a PDF: export its pages as PNG"


def test_a_format_is_read_or_has_a_way_out() -> None:
    for kind in FORMATS:
        assert bool(kind.pillow) != bool(kind.advice), kind.name
    endings = [ending for kind in FORMATS for ending in kind.endings.split()]
    assert len(endings) == len(set(endings))
