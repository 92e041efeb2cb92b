"""A photo's bytes -> an upright square, RGB or planes, by Pillow, in build workers.

Whatever a photo folder holds is either read as a viewer would show it or refused with
a reason a person understands. Colour profiles, comments and all else that a file says
beside its pixels are left behind; a profile is not applied.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from array import array

import google_crc32c
from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError

from alexnet.pipeline.config import Resize
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.records.image_formats import PLUGINS, describe
from alexnet.pipeline.records.odd_pixels import as_shown, prepare
from alexnet.pipeline.records.resample import resample

# What phones and cameras come to. Refused by the header, before decoding: reading takes
# 4 to 18 bytes a pixel, and Pillow refuses twice its own limit.
MAX_PIXELS = 200_000_000
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
# Decoders that take this many times the memory or the time that others do.
COSTS = {"jpeg2k": 2, "ppm": 6, "ppm_plain": 6}
# Every worker process has a CPU of its own, and decodes on that alone.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# What is wrong with a photo is its reason. A filter for the time of a call would be
# another thread's, too.
warnings.filterwarnings("ignore", module=r"PIL\.")
# A few bytes make a scan of all pixels; TurboJPEG's limit for files one does not trust
# (TJFLAG_LIMITSCANS). Progressive photos have about ten.
MAX_SCANS, START_OF_SCAN = 500, b"\xff\xda"
# Where `read_image` keeps a photo's own width and height, and its EXIF orientation.
SOURCE_SIZE, ORIENTATION = "source_size", "orientation"
ORIENTATION_TAG = 0x0112
# What brings a picture upright, by its EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Rows of three factors and a constant: full-range BT.601 as in JPEG files (ITU-T T.871,
# section 7). Pillow's own "YCbCr" cuts fractions off both ways, half a level each.
YCBCR_OF_RGB = (
    *(0.299, 0.587, 0.114, 0.0),
    *(-0.168736, -0.331264, 0.5, 128.0),
    *(0.5, -0.418688, -0.081312, 128.0),
)
RGB_OF_YCBCR = (
    *(1.0, 0.0, 1.402, -128 * 1.402),
    *(1.0, -0.344136, -0.714136, 128 * (0.344136 + 0.714136)),
    *(1.0, 1.772, 0.0, -128 * 1.772),
)
DIGEST_BYTES = 8
# Checksums of strips cost a tenth of a hash of all pixels. A difference within 32 bits
# of a strip always shows; that in a strip alone is missed once in 2**32 pairs.
STRIPS = 8


def read_image(data: bytes, side: int | None = None, key: str = "") -> Image.Image:
    """The image as a viewer shows it, of 8 bits, loaded, but neither turned nor cut.

    Frames after the first are left out. With `side`, a JPEG much larger than that is
    decoded at a fraction of its size, at least twice `side`, which libjpeg does while
    decoding.

    Args:
        key: the file's name, which may tell what its content does not.

    Raises:
        BadImage: it is empty, cut, too large, or of no known format.
    """
    image = _open(data, key)
    _require_affordable(image, data)
    size = image.size
    try:
        prepare(image, data, key)
        if side is not None:
            image.draft(None, (2 * side, 2 * side))
        image.load()
        shown = as_shown(image, data)
    except (BadImage, MemoryError):
        raise
    except Exception as error:
        raise _undecodable(error) from None
    shown.info |= {SOURCE_SIZE: size, ORIENTATION: _exif_orientation(image)}
    return shown


def _open(data: bytes, key: str) -> ImageFile.ImageFile:
    if not data:
        raise BadImage("empty file")
    try:
        return Image.open(io.BytesIO(data), formats=PLUGINS)
    except UnidentifiedImageError:
        raise BadImage(describe(data, key)) from None
    except Image.DecompressionBombError as error:
        raise BadImage(f"too large: {str(error).partition(',')[0]}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise _undecodable(error) from None


def _require_affordable(image: ImageFile.ImageFile, data: bytes) -> None:
    scans = data.count(START_OF_SCAN) if image.info.get("progressive") else 1
    if scans > MAX_SCANS:
        raise BadImage(f"{scans} progressive scans: at most {MAX_SCANS} are read")
    codec = image.tile[0].codec_name if image.tile else ""
    pixels, most = image.width * image.height, MAX_PIXELS // COSTS.get(codec, 1)
    if pixels > most:
        raise BadImage(
            f"too large: {pixels} pixels of this kind of {image.format}: at most {most}"
            " are read"
        )


def _undecodable(error: Exception) -> BadImage:
    """The reason; Pillow's plugins raise whatever a broken file causes."""
    return BadImage(f"cannot be decoded: {str(error) or type(error).__name__}")


def to_rgb(image: Image.Image) -> Image.Image:
    """The image of 8 bits as RGB, transparency over white.

    Raises:
        BadImage: it has pixels of a kind that cannot be converted.
    """
    try:
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            white = Image.new("RGB", layer.size, "white")
            white.paste(layer, mask=layer)
            return white
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError as error:
        raise BadImage(f"{image.mode} pixels cannot be used: {error}") from None


def to_square(image: Image.Image, side: int, resize: Resize) -> Image.Image:
    """RGB [side, side], upright: the central square of it (`crop`) or all (`squash`).

    Cropping and resizing are one antialiased bicubic resample; the EXIF rotation, which
    commutes with both, is applied to the small result.
    """
    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    if resize == "crop":
        shorter = min(width, height)
        box = ((width - shorter) / 2, (height - shorter) / 2, shorter, shorter)
    square = resample(to_rgb(image), side, box)
    return apply_exif_orientation(square, orientation(image))


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of a read image, 1 to 8; 1 where it is absent or broken."""
    return int(image.info.get(ORIENTATION, 1))


def _exif_orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def apply_exif_orientation(image: Image.Image, exif_orientation: int) -> Image.Image:
    """The image turned as its EXIF orientation asks."""
    turn = TURNS.get(exif_orientation)
    return image if turn is None else image.transpose(turn)


def yuv420_planes(image: Image.Image) -> bytes:
    """Luma, then Cb, then Cr at half the side, of an RGB square of even side.

    A chroma value is the mean of 2x2 pixels.
    """
    luma, *chroma = image.convert("RGB", YCBCR_OF_RGB).split()
    return luma.tobytes() + b"".join(band.reduce(2).tobytes() for band in chroma)


def rgb_from_planes(planes: bytes, side: int) -> Image.Image:
    """RGB [side, side] from `yuv420_planes`, chroma scaled up bilinearly."""
    half, pixels = (side // 2, side // 2), side * side
    luma = Image.frombytes("L", (side, side), planes[:pixels])
    chroma = [
        Image.frombytes("L", half, planes[start : start + pixels // 4])
        for start in (pixels, pixels + pixels // 4)
    ]
    scaled = [band.resize(luma.size, Image.Resampling.BILINEAR) for band in chroma]
    return Image.merge("RGB", [luma, *scaled]).convert("RGB", RGB_OF_YCBCR)


def pixel_digest(pixels: bytes, width: int) -> bytes:
    """Eight bytes that say whether two RGB images are the same, pixel by pixel."""
    strip = max(1, -(-len(pixels) // STRIPS))
    sums = [
        google_crc32c.value(pixels[start : start + strip])
        for start in range(0, len(pixels), strip)
    ]
    told = array("Q", [width, len(pixels), *sums]).tobytes()
    return hashlib.blake2b(told, digest_size=DIGEST_BYTES).digest()
