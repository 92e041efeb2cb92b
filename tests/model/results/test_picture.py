"""A served model shows a file as `predict` does, to the last bit, or names its kind."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf
from PIL import Image

from alexnet.model.results.file_header import WAY_OUT
from alexnet.model.results.picture import decode_square
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.records.image import read_image, to_square
from tests.conftest import smooth_photo
from tests.pipeline.odd_photos import (
    KINDS,
    PALETTE,
    PHOTO,
    RGB,
    SIDE,
    crc,
    jpeg,
    over_white,
    png,
    saved,
    with_segment,
)

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
# At a fraction of its size, each libjpeg makes something else of a damaged scan.
DAMAGED = {"a bit of the scan.jpg"}
# What is refused that `predict` shows.
REFUSED = (
    "WebP|TIFF|GIF|CMYK JPEG|BMP|HEIC, AVIF or a video|JPEG 2000|PNG with EXIF|not JPEG"
)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def decode(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return decode_square(file, SIDE, "crop")


def shown(data: bytes) -> np.ndarray:
    pixels, refusal = decode(data)
    assert refusal == b""
    return pixels.numpy()


def refusal_of(data: bytes) -> str:
    pixels, refusal = decode(data)
    assert not pixels.numpy().any()
    return refusal.numpy().decode()


def predicted(data: bytes) -> np.ndarray:
    """The square that `predict` shows the network."""
    return np.asarray(to_square(read_image(data, SIDE), SIDE, "crop"))


def with_chunk(data: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk, right behind its header."""
    checksum = struct.pack(">I", crc(name, body))
    chunk = struct.pack(">I", len(body)) + name + body + checksum
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("name", sorted(set(KINDS) - DAMAGED))
def test_odd_photos_are_shown_as_predicted_or_refused(name: str) -> None:
    data = KINDS[name].data
    try:
        expected = predicted(data)
    except BadImage:
        expected = None
    try:
        pixels, refusal = decode(data)
    except tf.errors.InvalidArgumentError:
        # TensorFlow's own decoders say what is wrong with a file, but no more.
        assert expected is None or name == "without its last chunk.png"
        return
    if refusal == b"":
        assert expected is not None or name == "bomb of text.png"
        if expected is not None:
            np.testing.assert_array_equal(pixels, np.asarray(expected))
    elif expected is not None:
        text = refusal.numpy().decode()
        assert re.match(REFUSED, text)
        assert text.endswith(WAY_OUT)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("webp.jpg", "WebP"),
        ("tiff.jpg", "TIFF"),
        ("gif.jpg", "GIF"),
        ("cmyk.jpg", "CMYK JPEG"),
        ("ycck.jpg", "CMYK JPEG"),
        ("phone.jpg", "HEIC, AVIF or a video"),
        ("lossless.jpg", "JPEG that is damaged, lossless"),
        ("scans.jpg", "JPEG of more than 500 scans"),
        ("bomb.jpg", "more than 200,000,000 pixels"),
        ("bomb.png", "more than 200,000,000 pixels"),
        ("bomb.bmp", "more than 200,000,000 pixels"),
        ("text.jpg", "not JPEG, PNG and 24-bit BMP"),
        ("empty.jpg", "not JPEG, PNG and 24-bit BMP"),
    ],
)
def test_a_refusal_names_the_kind(name: str, kind: str) -> None:
    assert refusal_of(KINDS[name].data).startswith(kind)


# --- JPEG


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize(
    ("width", "height", "fraction"),
    [(33, 31, 1), (64, 97, 2), (140, 131, 4), (255, 400, 4), (300, 256, 8)],
)
def test_jpegs_of_any_size(
    subsampling: str, width: int, height: int, fraction: int
) -> None:
    photo = np.asarray(smooth_photo(width, width, height))
    data = simplejpeg.encode_jpeg(photo, colorsubsampling=subsampling)
    assert read_image(data, SIDE).width == -(-width // fraction)
    np.testing.assert_array_equal(shown(data), predicted(data))


def test_a_jpeg_squashed() -> None:
    data = jpeg(smooth_photo(4, 150, 90))
    pixels, _ = decode_square(tf.constant(data), SIDE, "squash")
    expected = to_square(read_image(data, SIDE), SIDE, "squash")
    np.testing.assert_array_equal(pixels, np.asarray(expected))


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_in_xmp_and_in_a_png(turn: int) -> None:
    xmp = f'<rdf tiff:Orientation="{turn}"/>'.encode()
    exif = struct.pack("<4sIHHHIHHI", b"II*\0", 8, 1, 0x112, 3, 1, turn, 0, 0)
    original = saved(PHOTO, "PNG")
    photos = (
        with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
        with_chunk(original, b"eXIf", exif),
        with_chunk(original, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        with_chunk(original, b"tEXt", b"XML:com.adobe.xmp\0" + xmp),
    )
    turned = len({predicted(photo).tobytes() for photo in photos[1:]})
    assert turned == 1
    for photo in photos:
        np.testing.assert_array_equal(shown(photo), predicted(photo))


def test_exif_behind_the_frame_and_in_two_parts() -> None:
    exif = struct.pack(">4sIHHHIHHI", b"MM\0*", 8, 1, 0x112, 3, 1, 6, 0, 0)
    parts = with_segment(0xE1, b"Exif\0\0" + exif[12:])
    parts = with_segment(0xE1, b"Exif\0\0" + exif[:12], parts)
    data = jpeg(PHOTO)
    scan = data.index(b"\xff\xda")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    for photo in (parts, data[:scan] + segment + data[scan:]):
        assert (predicted(photo) != predicted(data)).any()
        np.testing.assert_array_equal(shown(photo), predicted(photo))


# --- PNG

DEPTHS_AND_COLOURS = [
    *((depth, 0) for depth in (1, 2, 4, 8, 16)),  # grey
    *((depth, 3) for depth in (1, 2, 4, 8)),  # palette
    *((depth, colour) for depth in (8, 16) for colour in (2, 4, 6)),
]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@pytest.mark.parametrize(("depth", "colour"), DEPTHS_AND_COLOURS)
@pytest.mark.parametrize("keyed", [False, True])
def test_every_kind_of_png(depth: int, colour: int, keyed: bool) -> None:
    """Against the samples that went in: PNG (third edition), 4.4 and 11.3.1."""
    rng = np.random.default_rng(depth * 10 + colour)
    values = rng.integers(0, 2**depth, (SIDE, SIDE, SAMPLES[colour]))
    bits = values[..., None] >> np.arange(depth)[::-1] & 1
    rows = np.packbits(bits.reshape(SIDE, -1).astype(np.uint8), axis=1)
    data = png(SIDE, SIDE, depth, colour, b"".join(b"\0" + bytes(row) for row in rows))
    alpha = np.full((SIDE, SIDE), 255)
    if colour == 3:
        table = rng.integers(0, 256, (2**depth, 3), np.uint8)
        opacities = rng.integers(0, 256, 2**depth, np.uint8)
        if keyed:
            data = with_chunk(data, b"tRNS", bytes(opacities))
            alpha = opacities[values[..., 0]]
        data = with_chunk(data, b"PLTE", table.tobytes())
        rgb = table[values[..., 0]]
    else:
        if keyed and colour in (0, 2):
            key = values[3, 5]
            data = with_chunk(data, b"tRNS", key.astype(">u2").tobytes())
            alpha = np.where((values == key).all(axis=-1), 0, 255)
        most = 2**depth - 1
        # Of 16 bits Pillow takes the upper half, but for grey, which is rounded.
        halved = depth == 16 and colour != 0
        levels = values >> 8 if halved else np.round(values * (255 / most)).astype(int)
        rgb = np.broadcast_to(levels[..., : 3 if colour in (2, 6) else 1], RGB.shape)
        if colour in (4, 6):
            alpha = levels[..., -1]
    np.testing.assert_array_equal(shown(data), over_white(rgb, alpha))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"tEXt", b"Raw profile type exif\0\nexif\n 0\n"),
        (b"zTXt", b"Raw profile type exif\0\0x"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0x"),
        (b"zTXt", b"XML:com.adobe.xmp\0\0x"),
    ],
)
def test_what_a_text_chunk_hides_is_refused(name: bytes, body: bytes) -> None:
    refusal = refusal_of(with_chunk(saved(PHOTO, "PNG"), name, body))
    assert refusal.startswith("PNG with EXIF or packed XMP in a text chunk")


def test_other_text_in_a_png_is_passed_over() -> None:
    two = png(SIDE, SIDE, 1, 0, b"\0\x0f\xf0" * SIDE)
    for image in (saved(PHOTO, "PNG"), two):
        data = with_chunk(image, b"tEXt", b"comment\0tRNS tiff:Orientation>6")
        np.testing.assert_array_equal(shown(data), predicted(image))


# --- BMP


def test_bmp_from_the_bottom_and_from_the_top() -> None:
    data = bytearray(saved(PHOTO, "BMP"))
    np.testing.assert_array_equal(shown(bytes(data)), RGB)
    data[22:26] = struct.pack("<i", -SIDE)
    np.testing.assert_array_equal(shown(bytes(data)), RGB[::-1])


@pytest.mark.parametrize(
    "image", [PALETTE, PHOTO.convert("L"), PHOTO.convert("RGBA"), PHOTO.convert("1")]
)
def test_other_bmps_are_refused(image: Image.Image) -> None:
    assert refusal_of(saved(image, "BMP")).startswith("BMP that is not of 24 bits")


def test_an_old_bmp_is_refused() -> None:
    data = bytearray(saved(PHOTO, "BMP"))
    data[14:18] = struct.pack("<I", 12)
    assert refusal_of(bytes(data)).startswith("BMP that is not of 24 bits")
