"""Bad and odd photos, made on the spot, each with what must become of it.

Expected pixels are those of the picture that went in, or NumPy's of them; a refused
file has a pattern of the reason instead.
"""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin

from tests.conftest import smooth_photo

SIDE = 16
# Even in JPEG's blocks of 8 x 8, which therefore come back within 2 levels.
CORNERS = [[(200, 60, 60), (60, 180, 80)], [(70, 80, 190), (220, 210, 90)]]
PHOTO = Image.fromarray(np.array(CORNERS, np.uint8)).resize(
    (SIDE, SIDE), Image.Resampling.NEAREST
)
RGB = np.asarray(PHOTO)
GREY = PHOTO.convert("L")
PALETTE = PHOTO.quantize(16)
TURNED = PHOTO.rotate(180)
# Every opacity from 0 to 255, across the picture.
ALPHA = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
LARGE = smooth_photo(2, 160, 160)
# At 147 bytes, by libjpeg-turbo's `jpegtran -arithmetic`, of a grey picture, 16 x 8.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdA"
    "SFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/yQALCAAIABABAREA/8wABgAQEAX/2gAIAQEAAD8A"
    "0jAedWD/AJYs/QK3nUGlQtt1XMuWgvzMgP/Z"
)


class Odd(NamedTuple):
    """A file, and its upright RGB pixels or a pattern of why it is refused."""

    data: bytes
    expected: np.ndarray | str


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    image.copy().save(file, file_format, **options)  # a JPEG's settings stick to it
    return file.getvalue()


def jpeg(image: Image.Image, **options: object) -> bytes:
    """A JPEG whose pixels come back within 2 levels."""
    return saved(image, "JPEG", **{"quality": 100, "subsampling": 0, **options})


def three(grey: np.ndarray | Image.Image) -> np.ndarray:
    """Grey levels as RGB."""
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=-1)


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """RGB of a picture with opacities, laid on white."""
    share = alpha[..., None] / 255
    return np.round(rgb * share + 255 * (1 - share)).astype(np.uint8)


def cut(data: bytes, percent: int) -> bytes:
    """The first part of a file."""
    return data[: len(data) * percent // 100]


def put(data: bytes, place: int, value: bytes) -> bytes:
    """A file with some bytes written over."""
    return data[:place] + value + data[place + len(value) :]


def png(
    width: int,
    height: int,
    depth: int,
    colour: int,
    rows: bytes,
    transparent: tuple[int, ...] = (),
) -> bytes:
    """A PNG of these header fields; `rows` start with their filter's number."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    key = struct.pack(f">{len(transparent)}H", *transparent)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if transparent:
        chunks.insert(1, (b"tRNS", key))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc(name, data))
        for name, data in chunks
    )


def crc(name: bytes, data: bytes) -> int:
    """A PNG chunk's checksum."""
    return zlib.crc32(data, zlib.crc32(name))


def flipped(data: bytes) -> bytes:
    """A file with one bit in its middle turned round."""
    place = len(data) // 2
    return put(data, place, bytes([data[place] ^ 1]))


def as_pillow_reads_it(data: bytes) -> Odd:
    """A file that holds nothing by which its damage could be told."""
    try:
        photo = Image.open(io.BytesIO(data)).convert("RGB")
    except OSError:  # a Pillow without arithmetic decoding
        return Odd(data, "cannot be decoded: .+")
    return Odd(data, np.asarray(ImageOps.fit(photo, (SIDE, SIDE))))


# --- JPEG segments

START_OF_FRAME = jpeg(PHOTO).index(b"\xff\xc0")


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG that claims this size, and has the pixels of a small one."""
    return put(jpeg(PHOTO), START_OF_FRAME + 5, struct.pack(">HH", height, width))


def with_segment(marker: int, payload: bytes, data: bytes = b"") -> bytes:
    """A JPEG with one more segment, right after its start."""
    data = data or jpeg(PHOTO)
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload
    return data[:2] + segment + data[2:]


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """One field of an EXIF directory; kinds are TIFF's: 2 text, 3 short, 5 rational."""
    return struct.pack(">HHI", tag, kind, count) + value


def with_exif(*entries: bytes, after: bytes = b"", image: Image.Image = PHOTO) -> bytes:
    """A JPEG with an EXIF directory of these fields; `after` starts at byte 26."""
    directory = struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)
    payload = b"Exif\0\0MM\0*\0\0\0\x08" + directory + after
    return with_segment(0xE1, payload, jpeg(image))


def turned(orientation: int) -> bytes:
    """A JPEG of `PHOTO` as a camera held that way stores it (EXIF 2.3, 4.6.4)."""
    stored = {
        1: RGB,
        2: np.fliplr(RGB),
        3: np.rot90(RGB, 2),
        4: np.flipud(RGB),
        5: RGB.swapaxes(0, 1),
        6: np.rot90(RGB),
        7: np.rot90(RGB, 2).swapaxes(0, 1),
        8: np.rot90(RGB, -1),
    }[orientation]
    field = entry(0x112, 3, 1, struct.pack(">HH", orientation, 0))
    return with_exif(field, image=Image.fromarray(np.ascontiguousarray(stored)))


SIX = entry(0x112, 3, 1, b"\0\6\0\0")


def ycck() -> bytes:
    """A CMYK JPEG of `PHOTO` whose inks are stored as YCbCr, as Photoshop writes it."""
    ycc = np.asarray(Image.fromarray(255 - RGB).convert("YCbCr"))
    stored = np.dstack([255 - ycc, np.zeros_like(ALPHA)])
    data = jpeg(Image.fromarray(stored, "CMYK"))
    return put(data, data.index(b"Adobe") + 11, b"\2")


def many_scans(count: int) -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    data = saved(PHOTO, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


# --- other formats


def animated(file_format: str, **options: object) -> bytes:
    """`PHOTO`, and then other frames."""
    frames = {"save_all": True, "append_images": [TURNED.copy()]}
    return saved(PHOTO, file_format, **frames, **options)


def gif_of_size(screen: int, frame: int) -> bytes:
    """A GIF that claims to be a square of this side, and its frame of another."""
    size = struct.pack("<HHHHB", 0, 0, frame, frame, 0)
    head = b"GIF89a" + struct.pack("<HH", screen, screen) + b"\xf0\0\0" + bytes(6)
    return head + b"," + size + b"\x02\x02\x4c\x01\0;"


def webp_of_size(side: int) -> bytes:
    """A lossless WebP that claims to be a square of this side."""
    data = saved(PHOTO, "WEBP", lossless=True)
    place = data.index(b"VP8L") + 9
    bits = int.from_bytes(data[place : place + 4], "little") >> 28 << 28
    return put(data, place, (bits | (side - 1) << 14 | side - 1).to_bytes(4, "little"))


def text_bomb() -> bytes:
    """A PNG with a comment that inflates without end."""
    data = saved(PHOTO, "PNG")
    text = b"zTXtcomment\0\0" + zlib.compress(bytes(2_000_000))
    size, checksum = len(text) - 4, zlib.crc32(text)
    chunk = struct.pack(">I", size) + text + struct.pack(">I", checksum)
    return data[:33] + chunk + data[33:]  # behind the header


def tiff_of_size(side: int) -> bytes:
    """A TIFF that claims to be a square of this side."""
    data = tiff(PHOTO)
    for tag in (b"\0\1", b"\1\1"):  # ImageWidth and ImageLength, little-endian
        field = tag + b"\4\0\1\0\0\0"
        data = put(data, data.index(field) + len(field), struct.pack("<I", side))
    return data


def text_in_zip() -> bytes:
    """An archive with a photo's name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("cat.jpg", b"text")
    return file.getvalue()


def tiff(image: Image.Image, **options: object) -> bytes:
    """A TIFF of the image."""
    return saved(image, "TIFF", **options)


def tiff_turned() -> bytes:
    """A TIFF of `PHOTO` as a camera held sideways stores it."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[0x112] = 6
    return tiff(PHOTO.transpose(Image.Transpose.ROTATE_90), tiffinfo=info)


def tiff_of(
    pixels: np.ndarray | bytes,
    bits: int,
    black: int = 1,
    kind: int = 1,
    samples: int = 1,
    order: str = "<",
    **more: list[int],
) -> bytes:
    """An uncompressed TIFF of one strip, or of one a sample; `more` are tags.

    `black` is the photometric interpretation, `kind` a sample's format: 1 unsigned, 2
    signed, 3 float.
    """
    data = pixels if isinstance(pixels, bytes) else pixels.tobytes()
    tags = {
        **{256: [SIDE], 257: [SIDE], 258: [bits] * samples, 259: [1], 262: [black]},
        **{277: [samples], 278: [SIDE], 339: [kind] * samples},
        **{int(tag[1:]): values for tag, values in more.items()},
    }
    strips = samples if tags.get(284) == [2] else 1
    each = len(data) // strips
    start = 8 + 2 + 12 * (len(tags) + 2) + 4
    start += sum(2 * len(values) for values in tags.values() if len(values) > 2)
    start += 4 * strips
    tags[273] = [start + strip * each for strip in range(strips)]
    tags[279] = [each] * strips
    entries, tail = b"", b""
    place = 8 + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        raw = struct.pack(f"{order}{len(tags[tag])}H", *tags[tag])
        entries += struct.pack(f"{order}HHI", tag, 3, len(tags[tag]))
        if len(raw) > 4:
            entries += struct.pack(f"{order}I", place + len(tail))
            tail += raw
        else:
            entries += raw.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(
        f"{order}IH", 8, len(tags)
    )
    return (head + entries + bytes(4) + tail).ljust(start, b"\0") + data


def packed(levels: np.ndarray, bits: int) -> np.ndarray:
    """Rows of levels of so many bits, the upper bits first."""
    each = levels.astype(">u2").view(np.uint8).reshape(SIDE, -1, 2)
    wanted = np.unpackbits(each, axis=2)[:, :, 16 - bits :]
    return np.packbits(wanted.reshape(SIDE, -1), axis=1)


def in_rows(levels: np.ndarray, bits: int) -> bytes:
    """A PNG's rows without filter, of levels of so many bits."""
    return b"".join(b"\0" + row.tobytes() for row in packed(levels, bits))


def bmp_of(alpha: int, header_bytes: int) -> bytes:
    """A BMP of `PHOTO` with this alpha everywhere, of Windows 3 (40), V3, V4 or V5."""
    opacity = np.full((SIDE, SIDE), alpha, np.uint8)
    data = np.dstack([RGB[..., ::-1], opacity]).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    size = (header_bytes, SIDE, -SIDE, 1, 32, 3 if header_bytes > 40 else 0)
    header = struct.pack("<IiiHHIIiiII", *size, len(data), 0, 0, 0, 0)
    header = (header + masks).ljust(header_bytes, b"\0")[:header_bytes]
    start = 14 + header_bytes
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + data


# Four greys from black to white, and an opacity that hides the lower half.
WEDGE = np.kron(np.array([[0, 85], [170, 255]], np.uint8), np.ones((8, 8), np.uint8))
WEDGE16, WEDGE12 = WEDGE * np.uint16(257), WEDGE.astype(np.uint32) * 4095 // 255
UPPER_HALF = np.repeat(np.array([255, 0], np.uint8), 8)[:, None].repeat(SIDE, 1)
SHARE = (WEDGE / 255).astype(np.float32)
YCC = np.asarray(PHOTO.convert("YCbCr"))
PALETTE_OF_8_BITS = (
    np.array((PALETTE.getpalette() or []) + [0] * 768)[:768].reshape(256, 3).T
)


def sixteen(pixels: np.ndarray, order: str = "<") -> bytes:
    """Pixels of 8 bits as 16."""
    return (pixels.astype(np.uint16) * 257).astype(order + "u2").tobytes()


def gif_in_a_corner() -> bytes:
    """A GIF whose only frame fills the lower right quarter of the screen."""
    data = saved(PALETTE.crop((8, 8, SIDE, SIDE)), "GIF")
    data = put(data, 6, struct.pack("<HH", SIDE, SIDE))
    return put(data, data.index(b",\0\0\0\0") + 1, struct.pack("<HH", 8, 8))


def in_a_corner() -> np.ndarray:
    """What a viewer shows of it."""
    screen = np.full_like(RGB, 255)
    screen[8:, 8:] = FROM_PALETTE[8:, 8:]
    return screen


SIXTEEN_BITS = np.asarray(GREY).astype(np.uint16) * 257
DEEP_RGB = b"".join(
    b"\0" + row.astype(">u2").tobytes() for row in RGB.astype(np.uint16) * 257
)
WITH_ALPHA = Image.fromarray(np.dstack([RGB, ALPHA]))
GREY_ALPHA = Image.merge("LA", [GREY, Image.fromarray(ALPHA)])
ONE_BIT = np.asarray(GREY) > 127
OPAQUE = np.where(np.asarray(PALETTE) == 3, 0, 255)
FROM_PALETTE = np.asarray(PALETTE.convert("RGB"))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
COLUMN = Image.fromarray(np.repeat(RGB[8:9, 8:9], 5000, axis=0))

DAMAGED = "looks like a {} with a damaged"
TOO_LARGE = r"too large: .*\({} pixels\) exceeds limit of 200000000"
CUT = "cannot be decoded: (?i:.*truncated)"

KINDS: dict[str, Odd] = {
    # Nothing, or not all of it.
    "empty.jpg": Odd(b"", "^empty file$"),
    "cut at 10 %.jpg": Odd(cut(jpeg(LARGE), 10), "cannot be decoded: .+"),
    "cut at 50 %.jpg": Odd(cut(jpeg(LARGE), 50), CUT),
    "cut at 99 %.jpg": Odd(cut(jpeg(LARGE), 99), CUT),
    "start alone.jpg": Odd(b"\xff\xd8\xff\xe0", DAMAGED.format("JPEG")),
    "cut at 10 %.png": Odd(cut(saved(LARGE, "PNG"), 10), CUT),
    "cut at 50 %.png": Odd(cut(saved(LARGE, "PNG"), 50), CUT),
    "without its last chunk.png": Odd(saved(PHOTO, "PNG")[:-12], RGB),
    "cut at 50 %.gif": Odd(cut(saved(LARGE, "GIF"), 50), "cannot be decoded: .+"),
    "cut at 50 %.webp": Odd(cut(saved(LARGE, "WEBP"), 50), "cannot be decoded: .+"),
    "cut at 50 %.bmp": Odd(cut(saved(LARGE, "BMP"), 50), CUT),
    "cut at 50 %.tif": Odd(cut(tiff(LARGE), 50), "(?i)cannot be decoded|a TIFF with"),
    "zeros.jpg": Odd(bytes(500), "begins with 00 00 00 00 00 00 00 00"),
    # Damaged.
    "no height.jpg": Odd(jpeg_of_size(SIDE, 0), DAMAGED.format("JPEG")),
    "five channels.jpg": Odd(
        put(jpeg(PHOTO), START_OF_FRAME + 9, b"\5"), DAMAGED.format("JPEG")
    ),
    "broken tables.jpg": Odd(
        jpeg(PHOTO).replace(b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\x1f"),
        DAMAGED.format("JPEG"),
    ),
    "header's checksum.png": Odd(
        put(saved(PHOTO, "PNG"), 29, b"\0\0\0\0"), DAMAGED.format("PNG")
    ),
    "pixels' checksum.png": Odd(
        png(SIDE, SIDE, 8, 2, DEEP_RGB)[:-17] + bytes(17), "cannot be decoded: .+"
    ),
    "a bit of the scan.jpg": as_pillow_reads_it(flipped(jpeg(LARGE))),
    "a bit of the scan.gif": as_pillow_reads_it(flipped(saved(LARGE, "GIF"))),
    # Rare kinds.
    "arithmetic.jpg": as_pillow_reads_it(ARITHMETIC),
    "12 bits.jpg": Odd(
        put(jpeg(PHOTO), START_OF_FRAME + 4, b"\x0c"), "a JPEG with a damaged or rare"
    ),
    "lossless.jpg": Odd(
        put(jpeg(PHOTO), START_OF_FRAME + 1, b"\xc3"), "cannot be decoded: .+"
    ),
    "hierarchical.jpg": Odd(
        put(jpeg(PHOTO), START_OF_FRAME + 1, b"\xc5"), "cannot be decoded: .+"
    ),
    "beyond 16 bits.tif": Odd(
        tiff(Image.fromarray(np.full((SIDE, SIDE), 70_000, np.int32))),
        "from 70000 to 70000 do not tell .* white: expected 0 to 255 or 0 to 65535",
    ),
    "below zero.tif": Odd(
        tiff(Image.fromarray(np.full((SIDE, SIDE), -1, np.float32))),
        "from -1.0 to -1.0 do not tell .* white: expected 0 to 1 or 0 to 255",
    ),
    "not a number.tif": Odd(tiff_of(SHARE * np.nan, 32, kind=3), "from nan to nan"),
    "light.tif": Odd(tiff_of(SHARE * 9, 32, kind=3), "from 0.0 to 9.0 do not tell"),
    "signed.tif": Odd(tiff_of((WEDGE16 >> 1), 16, kind=2), "to 32767 do not tell"),
    "half floats.tif": Odd(tiff_of(SHARE.astype("f2"), 16, kind=3), "a TIFF with a"),
    "grey and more.tif": Odd(
        tiff_of(np.dstack([WEDGE, ALPHA]), 8, samples=2, t338=[0]), "a TIFF with a"
    ),
    "digital negative.tif": Odd(
        tiff_of(RGB, 8, black=2, samples=3, t50706=[1]), "a camera raw file: develop"
    ),
    "preview.tif": Odd(
        tiff_of(RGB, 8, black=2, samples=3, t254=[1], t330=[8]), "a camera raw file"
    ),
    "photo.nef": Odd(tiff(PHOTO), "a camera raw file"),
    # Something else under a photo's name.
    "text.jpg": Odd(b"cat\n", "not an image of a known format .*63 61 74 0a"),
    "page.jpg": Odd(b"<!DOCTYPE html><html></html>", "looks like a web page"),
    "drawing.png": Odd(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "in SVG"),
    "paper.jpg": Odd(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "looks like a PDF"),
    "archive.jpg": Odd(text_in_zip(), "looks like a zip archive"),
    "pointer.jpg": Odd(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"
    ),
    "page after lines.jpg": Odd(b"\n\n<!doctype html>", "looks like a web page"),
    "gzip.jpg": Odd(b"\x1f\x8b\x08" + bytes(99), "looks like gzip data: unpack"),
    "tga.jpg": Odd(saved(PHOTO, "TGA"), "looks like a TGA: convert it to PNG"),
    "icon.jpg": Odd(saved(PHOTO, "ICO"), "looks like an icon: convert it to PNG"),
    "jxl.jpg": Odd(b"\xff\x0a" + bytes(99), "looks like JPEG XL: convert it"),
    "photoshop.jpg": Odd(b"8BPS\0\1" + bytes(99), "a Photoshop file: export it"),
    "raw.jpg": Odd(b"FUJIFILMCCD-RAW " + bytes(99), "a camera raw file: develop it"),
    "film.jpg": Odd(b"\0\0\0\x18ftypmp42\0\0\0\0", "looks like a video"),
    "phone.jpg": Odd(b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC: convert it to JPEG"),
    "new.jpg": Odd(b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF with a damaged"),
    # Bombs.
    "bomb.png": Odd(png(60_000, 60_000, 8, 2, b""), TOO_LARGE.format(3_600_000_000)),
    "bomb.gif": Odd(gif_of_size(60_000, 60_000), TOO_LARGE.format(3_600_000_000)),
    "bomb in a frame.gif": Odd(
        gif_of_size(10, 60_000), TOO_LARGE.format(3_600_000_000)
    ),
    "bomb.webp": Odd(webp_of_size(16_383), TOO_LARGE.format(16_383**2)),
    "bomb.bmp": Odd(
        put(saved(PHOTO, "BMP"), 18, struct.pack("<ii", 60_000, 60_000)),
        TOO_LARGE.format(3_600_000_000),
    ),
    "bomb.tif": Odd(tiff_of_size(60_000), TOO_LARGE.format(3_600_000_000)),
    "bomb of text.png": Odd(text_bomb(), "cannot be decoded: Decompressed data too"),
    "bomb.jpg": Odd(jpeg_of_size(65_500, 65_500), TOO_LARGE.format(65_500**2)),
    "scans.jpg": Odd(many_scans(600), r"6\d\d progressive scans: at most 500"),
    # Another kind of photo under a JPEG's name, and the reverse.
    "png.jpg": Odd(saved(PHOTO, "PNG"), RGB),
    "gif.jpg": Odd(saved(PALETTE, "GIF"), FROM_PALETTE),
    "webp.jpg": Odd(saved(PHOTO, "WEBP", lossless=True), RGB),
    "bmp.jpg": Odd(saved(PHOTO, "BMP"), RGB),
    "tiff.jpg": Odd(tiff(PHOTO), RGB),
    "jpeg.png": Odd(jpeg(PHOTO), RGB),
    "jpeg.tif": Odd(jpeg(PHOTO), RGB),
    "JPEG.JPG": Odd(jpeg(PHOTO), RGB),
    # Kinds of JPEG.
    "grey.jpg": Odd(jpeg(GREY), three(GREY)),
    "progressive.jpg": Odd(jpeg(PHOTO, progressive=True), RGB),
    "restarts.jpg": Odd(jpeg(PHOTO, restart_marker_blocks=1), RGB),
    "rgb.jpg": Odd(jpeg(PHOTO, keep_rgb=True), RGB),
    "cmyk.jpg": Odd(jpeg(PHOTO.convert("CMYK")), RGB),
    "ycck.jpg": Odd(ycck(), RGB),
    "film behind it.jpg": Odd(jpeg(PHOTO) + b"\0\0\0\x18ftypmp42" + ARITHMETIC, RGB),
    "two pictures.jpg": Odd(animated("MPO", quality=100, subsampling=0), RGB),
    "filled.jpg": Odd(jpeg(PHOTO).replace(b"\xff\xdb", b"\xff\xff\xff\xdb"), RGB),
    "profile.jpg": Odd(jpeg(PHOTO, icc_profile=PROFILE), RGB),
    "broken profile.jpg": Odd(jpeg(PHOTO, icc_profile=b"x" * 200_000), RGB),
    "comment.jpg": Odd(jpeg(PHOTO, comment=b"x" * 65_000), RGB),
    # Kinds of PNG.
    "16 bits.png": Odd(saved(Image.fromarray(SIXTEEN_BITS), "PNG"), three(GREY)),
    "3 x 16 bits.png": Odd(png(SIDE, SIDE, 16, 2, DEEP_RGB), RGB),
    "1 bit.png": Odd(saved(Image.fromarray(ONE_BIT), "PNG"), three(ONE_BIT * 255)),
    "palette.png": Odd(saved(PALETTE, "PNG"), FROM_PALETTE),
    "transparent colour.png": Odd(
        saved(PALETTE, "PNG", transparency=3), over_white(FROM_PALETTE, OPAQUE)
    ),
    "alpha.png": Odd(saved(WITH_ALPHA, "PNG"), over_white(RGB, ALPHA)),
    "grey and alpha.png": Odd(saved(GREY_ALPHA, "PNG"), over_white(three(GREY), ALPHA)),
    "profile.png": Odd(saved(PHOTO, "PNG", icc_profile=PROFILE), RGB),
    # Other kinds.
    "transparent 16 bits.png": Odd(
        png(SIDE, SIDE, 16, 0, in_rows(WEDGE16, 16), (170 * 257,)),
        three(np.where(WEDGE == 170, 255, WEDGE)),
    ),
    "no such 16 bits.png": Odd(
        png(SIDE, SIDE, 16, 0, in_rows(WEDGE16, 16), (170,)), three(WEDGE)
    ),
    "transparent 4 bits.png": Odd(
        png(SIDE, SIDE, 4, 0, in_rows(WEDGE // 17, 4), (5,)),
        three(np.where(WEDGE == 85, 255, WEDGE)),
    ),
    "transparent 2 bits.png": Odd(
        png(SIDE, SIDE, 2, 0, in_rows(WEDGE // 85, 2), (2,)),
        three(np.where(WEDGE == 170, 255, WEDGE)),
    ),
    "transparent 1 bit.png": Odd(
        png(SIDE, SIDE, 1, 0, in_rows(WEDGE // 128, 1), (0,)), np.full_like(RGB, 255)
    ),
    "4 bits.png": Odd(png(SIDE, SIDE, 4, 0, in_rows(WEDGE // 17, 4)), three(WEDGE)),
    "transparent with more bits.png": Odd(
        png(SIDE, SIDE, 8, 0, in_rows(WEDGE, 8), (256 + 85,)),
        three(np.where(WEDGE == 85, 255, WEDGE)),
    ),
    "transparent 3 x 16 bits.png": Odd(
        png(SIDE, SIDE, 16, 2, DEEP_RGB, tuple(257 * level for level in CORNERS[0][0])),
        np.where(np.equal(CORNERS[0][0], RGB).all(axis=2, keepdims=True), 255, RGB),
    ),
    "no such 3 x 16 bits.png": Odd(
        png(SIDE, SIDE, 16, 2, DEEP_RGB, CORNERS[0][0]), RGB
    ),
    "nearly 3 x 16 bits.png": Odd(
        png(
            *(SIDE, SIDE, 16, 2, DEEP_RGB),
            tuple(257 * level + 1 for level in CORNERS[0][0]),
        ),
        RGB,
    ),
    "frames.gif": Odd(
        saved(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)]),
        FROM_PALETTE,
    ),
    "frames.webp": Odd(animated("WEBP", lossless=True), RGB),
    "frames.png": Odd(animated("PNG"), RGB),
    "pages.tif": Odd(animated("TIFF"), RGB),
    "comment.gif": Odd(saved(PALETTE, "GIF", comment=b"x" * 100_000), FROM_PALETTE),
    "alpha.webp": Odd(
        saved(WITH_ALPHA, "WEBP", lossless=True, exact=True), over_white(RGB, ALPHA)
    ),
    "cmyk.tif": Odd(tiff(PHOTO.convert("CMYK")), RGB),
    "16 bits.tif": Odd(tiff(Image.fromarray(SIXTEEN_BITS)), three(GREY)),
    "lzw.tif": Odd(tiff(PHOTO, compression="tiff_lzw"), RGB),
    # Greys and colours that Pillow takes for others.
    **{
        f"{name} {'II' if order == '<' else 'MM'}.tif": Odd(
            tiff_of(pixels, bits, black, kind, 1, order, **more), three(WEDGE)
        )
        for order in "<>"
        for name, pixels, bits, black, kind, more in (
            ("16 bits", sixteen(WEDGE, order), 16, 1, 1, {}),
            ("white 16 bits", sixteen(255 - WEDGE, order), 16, 0, 1, {}),
            ("white 8 bits", 255 - WEDGE, 8, 0, 1, {}),
            ("white 8 bits in a plane", 255 - WEDGE, 8, 0, 1, {"t284": [2]}),
            ("white 4 bits", packed(15 - WEDGE // 17, 4), 4, 0, 1, {}),
            ("12 bits", packed(WEDGE12, 12), 12, 1, 1, {}),
            ("white 12 bits", packed(4095 - WEDGE12, 12), 12, 0, 1, {}),
            ("0 to 1", SHARE.astype(order + "f4"), 32, 1, 3, {}),
            ("white 0 to 1", (1 - SHARE).astype(order + "f4"), 32, 0, 3, {}),
            ("0 to 255", WEDGE.astype(order + "f4"), 32, 1, 3, {}),
            ("0 to 255 of 32 bits", WEDGE.astype(order + "i4"), 32, 1, 2, {}),
            ("0 to 65535 of 32 bits", WEDGE16.astype(order + "i4"), 32, 1, 2, {}),
        )
    },
    "planes of 16 bits.tif": Odd(
        tiff_of(sixteen(RGB.transpose(2, 0, 1)), 16, 2, samples=3, t284=[2]), RGB
    ),
    "ycc.tif": Odd(tiff_of(YCC, 8, 6, samples=3, t530=[1, 1]), RGB),
    "no alpha.tif": Odd(
        tiff_of(np.dstack([RGB, UPPER_HALF]), 8, 2, samples=4, t338=[0]), RGB
    ),
    "16 bits and alpha.tif": Odd(
        tiff_of(*(sixteen(np.dstack([RGB, UPPER_HALF])), 16, 2), samples=4, t338=[2]),
        over_white(RGB, UPPER_HALF),
    ),
    "multiplied by alpha.tif": Odd(
        tiff_of(
            np.dstack([RGB // 255 * UPPER_HALF[..., None], UPPER_HALF]),
            *(8, 2),
            samples=4,
            t338=[1],
        ),
        over_white(RGB // 255, UPPER_HALF),
    ),
    "empty alpha.tif": Odd(tiff_of(np.dstack([RGB, ALPHA * 0]), 8, 2, samples=4), RGB),
    "palette of 8 bits.tif": Odd(
        tiff_of(PALETTE.tobytes(), 8, 3, t320=PALETTE_OF_8_BITS.ravel().tolist()),
        FROM_PALETTE,
    ),
    **{
        f"alpha {alpha}, header {size}.bmp": Odd(bmp_of(alpha, size), RGB)
        for alpha in (0, 255)
        for size in (40, 56, 108, 124)
    },
    "in a corner.gif": Odd(gif_in_a_corner(), in_a_corner()),
    # Other formats.
    "avif.jpg": Odd(saved(PHOTO, "AVIF", quality=100, subsampling="4:4:4"), RGB),
    "jpeg 2000.jpg": Odd(saved(PHOTO, "JPEG2000"), RGB),
    "jpeg 2000 of 16 bits.jpg": Odd(
        saved(Image.fromarray(SIXTEEN_BITS), "JPEG2000"), three(GREY)
    ),
    "ppm.jpg": Odd(saved(PHOTO, "PPM"), RGB),
    "pgm of 16 bits.jpg": Odd(b"P5 16 16 65535\n" + sixteen(WEDGE, ">"), three(WEDGE)),
    "pfm.jpg": Odd(b"Pf 16 16 -1\n" + SHARE[::-1].tobytes(), three(WEDGE)),
    # EXIF.
    **{f"exif {turn}.jpg": Odd(turned(turn), RGB) for turn in range(1, 9)},
    "exif 6.tif": Odd(tiff_turned(), RGB),
    "exif 0.jpg": Odd(with_exif(entry(0x112, 3, 1, bytes(4))), RGB),
    "exif 9.jpg": Odd(with_exif(entry(0x112, 3, 1, b"\0\x09\0\0")), RGB),
    "exif of letters.jpg": Odd(with_exif(entry(0x112, 2, 2, b"6\0\0\0")), RGB),
    "exif of fractions.jpg": Odd(
        with_exif(
            entry(0x112, 5, 1, struct.pack(">I", 26)), after=struct.pack(">II", 6, 1)
        ),
        RGB,
    ),
    "exif of garbage.jpg": Odd(with_segment(0xE1, b"Exif\0\0" + bytes(99)), RGB),
    "exif cut.jpg": Odd(with_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x20"), RGB),
    # Read, but nothing that could be written again.
    "exif 6 and a broken field.jpg": Odd(
        with_exif(SIX, entry(0x14A, 2, 2, b"x\0\0\0")), np.rot90(RGB, -1)
    ),
    # Odd shapes; the square is cut from the middle.
    "1 x 1.png": Odd(saved(PHOTO.crop((8, 8, 9, 9)), "PNG"), RGB[8:9, 8:9]),
    "1 x 5000.jpg": Odd(jpeg(COLUMN), RGB[8:9, 8:9]),
    "5000 x 1.jpg": Odd(jpeg(COLUMN.rotate(90, expand=True)), RGB[8:9, 8:9]),
    "65500 x 2.jpg": Odd(
        jpeg(PHOTO.crop((8, 8, 9, 9)).resize((65_500, 2))), RGB[8:9, 8:9]
    ),
    "65500 x 2.png": Odd(
        saved(PHOTO.crop((8, 8, 9, 9)).resize((65_500, 2)), "PNG"), RGB[8:9, 8:9]
    ),
}

# Names that a file system takes, all of a good photo.
NAMES = (
    b"a space.jpg",
    b"two\nlines.jpg",
    b"a\rreturn and a\ttab.jpg",
    b"'single' and \"double\".jpg",
    b"back\\slash.jpg",
    b"not UTF-8 \xff\xfe.jpg",
    "größe 猫 🐈.jpg".encode(),
    b"x" * 251 + b".jpg",
    b"-dash.jpg",
    b"{key} %s $HOME `id`;.jpg",
    b"[red] *?.jpg",
    b"no suffix",
)
