"""A photo's bytes -> an upright RGB square, by Pillow, in the build's workers.

Whatever a photo folder holds is either read as a viewer would show it or refused with
a reason a person understands.
"""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from pipeline.config import Fit

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF")
ORIENTATION_TAG = 0x0112


class BadImage(Exception):
    """An image file that cannot be used; the message is the reason."""


def read_image(data: bytes, side: int | None = None) -> Image.Image:
    """The image as stored, pixels loaded; frames after the first are left out.

    With `side`, a JPEG much larger than that is decoded at a fraction of its size, at
    least twice `side`, which libjpeg does while decoding.

    Raises:
        BadImage: it is empty, cut, too large, or of no known format.
    """
    if not data:
        raise BadImage("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if side is not None:
            image.draft(None, (2 * side, 2 * side))
        image.load()
    except Image.UnidentifiedImageError:
        raise BadImage(f"not an image of a known format ({_start(data)})") from None
    except Image.DecompressionBombError as error:  # above 178 956 970 pixels
        raise BadImage(str(error)) from None
    except Exception as error:  # Pillow's plugins raise whatever a broken file causes
        raise BadImage(f"cannot be decoded: {error}") from None
    return image


def _start(data: bytes) -> str:
    return f"it begins with {data[:8].hex(' ')}"


def to_rgb(image: Image.Image) -> Image.Image:
    """The image as 8-bit RGB: transparency over white, 16 bits scaled to 8."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    # 65535 / 255 = 257; Pillow's own conversion clips instead of scaling.
    wide = image if image.mode in ("I", "F") else image.convert("I")
    low, high = wide.getextrema()
    if isinstance(low, tuple) or isinstance(high, tuple) or low < 0 or high > 65_535:
        raise BadImage(f"pixel values from {low} to {high}: expected 0 to 65535")
    return wide.point(lambda value: value * (1 / 257)).convert("L")


def square(image: Image.Image, side: int, fit: Fit) -> Image.Image:
    """RGB [side, side], upright: the central square of it (`crop`) or all (`squash`).

    Cropping and resizing are one antialiased bicubic resample; the EXIF rotation, which
    commutes with both, is applied to the small result.
    """
    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    if fit == "crop":
        shorter = min(width, height)
        left, top = (width - shorter) / 2, (height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
    rgb = to_rgb(image)
    if rgb.size != (side, side) or box != (0, 0, side, side):
        rgb = rgb.resize((side, side), Image.Resampling.BICUBIC, box=box)
    return upright(rgb, orientation(image))


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where it is absent or broken."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(image: Image.Image, exif_orientation: int) -> Image.Image:
    """The image turned as its EXIF orientation asks."""
    if exif_orientation == 1:
        return image
    image.getexif()[ORIENTATION_TAG] = exif_orientation
    return ImageOps.exif_transpose(image)
