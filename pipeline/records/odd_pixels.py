"""The files whose pixels do not mean what Pillow takes them for.

Beside the path of an image: `image` comes here with everything but JPEG and WebP, and
gets 8-bit pixels as a viewer shows them, or the reason why nobody can know them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import product
from typing import Any, cast

from PIL import Image, ImageChops, ImageFile, TiffImagePlugin
from PIL.TiffImagePlugin import II, MM

from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.records.image_formats import CAMERA_RAW, is_camera_raw, looks_like

# Pillow's own reader takes planes for what they are not, and YCbCr for RGB.
TiffImagePlugin.READ_LIBTIFF = True
# What it knows of one byte order, or of black as zero, holds for the other, too.
for order, black, bits in product((II, MM), (0, 1), (12, 16)):
    rawmode = "I;12" if bits == 12 else "I;16"
    key = (order, black, (1,), 1, (bits,), ())
    TiffImagePlugin.OPEN_INFO.setdefault(key, ("I;16", rawmode))
# libtiff gives this machine's byte order, which Pillow knows of unsigned 16 bits alone.
NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
# TIFF tags: TIFF 6.0, section 8; SubIFDs of supplement 1; DNG 1.4, chapter 4.
NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC = 254, 258, 262
COLOR_MAP, SUB_IFDS, EXTRA_SAMPLES, DNG_VERSION = 320, 330, 338, 50706
WHITE_IS_ZERO, REDUCED = 0, 1
# Where a PNG's header has the bits of a sample: PNG (third edition), 11.2.1.
PNG_DEPTH = 24


def prepare(image: ImageFile.ImageFile, data: bytes, key: str) -> None:
    """Mend what Pillow is about to decode wrong, before it does.

    Raises:
        BadImage: it would decode something else than the picture.
    """
    if image.format != "TIFF":
        return
    tags = _tags(image)
    preview = tags.get(NEW_SUBFILE_TYPE, 0) & REDUCED and SUB_IFDS in tags
    if preview or DNG_VERSION in tags or data[8:10] == b"CR" or is_camera_raw(key):
        raise BadImage(looks_like(CAMERA_RAW))
    tile = image.tile[0]  # of the whole picture, as libtiff gives it
    rawmode, *rest = cast("tuple[Any, ...]", tile.args)
    image.tile = [tile._replace(args=(NATIVE.get(rawmode, rawmode), *rest))]


def as_shown(image: Image.Image, data: bytes) -> Image.Image:
    """The loaded picture in 8 bits as a viewer shows it, or itself where it is that.

    Raises:
        BadImage: its file does not say which of its levels is white.
    """
    if image.format in MENDS:
        image = MENDS[image.format](image, data)
    if image.mode == "F":
        return _to_8_bits(image, _white_of(image, (1, 255)))
    return _to_8_bits(image, 65_535) if image.mode.startswith("I") else image


def _to_8_bits(image: Image.Image, white: int, inverted: bool = False) -> Image.Image:
    """Grey, of levels from 0 to `white`; Pillow's own conversion clips them."""
    scale, offset = 255 / white, 0.5  # fractions are cut off
    if inverted:
        scale, offset = -scale, 255.5
    wide = image if image.mode == "F" else image.convert("I")
    return wide.point(lambda level: level * scale + offset).convert("L")


def _white_of(image: Image.Image, whites: tuple[int, int]) -> int:
    """The smaller white level that holds all pixels, or the larger if half used."""
    low, high = image.getextrema()
    small, large = whites
    if isinstance(low, tuple) or isinstance(high, tuple) or not 0 <= low <= high:
        white = 0
    elif high <= small:
        white = small
    else:
        white = large if large / 2 < high <= large else 0
    if not white:
        raise BadImage(
            f"pixel values from {low} to {high} do not tell what is white: expected"
            f" 0 to {small} or 0 to {large}. Save it with 8 or 16 bits a sample"
        )
    return white


def _png(image: Image.Image, data: bytes) -> Image.Image:
    """Mend the colour that is transparent: Pillow leaves it in the file's bits."""
    colour = image.info.get("transparency")
    if colour is None or image.mode not in ("L", "I;16", "RGB"):
        return image
    most = 2 ** data[PNG_DEPTH] - 1
    if image.mode == "RGB" and most == 65_535:
        image.putalpha(_differs_in_16_bits(image, colour, data))
    elif image.mode == "RGB":
        image.info["transparency"] = tuple(level & most for level in colour)
    elif image.mode == "L":
        image.info["transparency"] = (colour & most) * 255 // most
    else:
        opaque = [255] * 65_536
        opaque[colour] = 0
        alpha = image.convert("I").point(opaque, "L")
        return Image.merge("LA", [_to_8_bits(image, most), alpha])
    return image


def _differs_in_16_bits(
    image: Image.Image, colour: tuple[int, ...], data: bytes
) -> Image.Image:
    """White where a pixel is not of this colour, of three times 16 bits."""
    # Read as if little-endian, a file gives the lower bytes for the upper ones.
    lower = Image.open(io.BytesIO(data), formats=("PNG",))
    lower.tile = [tile._replace(args="RGB;16L") for tile in lower.tile]
    differs = Image.new("L", image.size)
    for half, shift in ((image, 8), (lower, 0)):
        for band, level in enumerate(colour):
            byte = level >> shift & 255
            opaque = [255 * (other != byte) for other in range(256)]
            differs = ImageChops.lighter(differs, half.getchannel(band).point(opaque))
    return differs


def _tiff(image: Image.Image, data: bytes) -> Image.Image:
    tags = _tags(image)
    inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    if image.mode.startswith("I;16"):
        return _to_8_bits(image, 2 ** tags[BITS_PER_SAMPLE][0] - 1, inverted)
    if image.mode == "I":  # signed, or of 32 bits
        return _to_8_bits(image, _white_of(image, (255, 65_535)), inverted)
    if image.mode == "F":
        return _to_8_bits(image, _white_of(image, (1, 255)), inverted)
    if image.mode == "P" and max(tags[COLOR_MAP]) < 256:
        # Some write 8 bits of colour where 16 belong, as libtiff knows, too.
        image.putpalette(bytes(tags[COLOR_MAP]), "RGB;L")
    return image if EXTRA_SAMPLES in tags else _without_empty_alpha(image, data)


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return image.tag_v2  # type: ignore[attr-defined,no-any-return]


def _without_empty_alpha(image: Image.Image, _: bytes) -> Image.Image:
    """Opaque, where an alpha that nothing declares is 0 everywhere."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
    return image


def _gif(image: Image.Image, _: bytes) -> Image.Image:
    """White around a frame that leaves some of the screen free."""
    frame = image.dispose_extent  # type: ignore[attr-defined]
    if frame == (0, 0, *image.size) or "transparency" in image.info:
        return image
    screen = Image.new("RGB", image.size, "white")
    screen.paste(image.crop(frame).convert("RGB"), frame)
    return screen


MENDS = {
    "PNG": _png,
    "TIFF": _tiff,
    "BMP": _without_empty_alpha,
    "DIB": _without_empty_alpha,
    "GIF": _gif,
}
