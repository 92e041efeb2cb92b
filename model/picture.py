"""An image file's bytes -> the square that a run's network was trained on.

In TensorFlow's operations alone, for a served model, and equal to the last bit to what
`pipeline.pixels` makes of the file; the kinds of which that is not so are refused.
"""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from model.exif import number
from model.file_header import Header, kind_of, read_header
from model.resample import to_square
from pipeline.config import Resize

# In a PNG's first chunk.
PNG_COLOUR_PLACE, GREY, ALPHA_BIT = 25, 0, 4


def decode_square(
    file: tf.Tensor, side: int, resize: Resize
) -> tuple[tf.Tensor, tf.Tensor]:
    """uint8 [side, side, 3], upright, and a refusal, empty where there is none.

    `file` is string [], the bytes of an image file. One that is refused gives zeros.
    """
    data = tf.io.decode_raw(file, tf.uint8)
    header = read_header(file, data)

    def show() -> tf.Tensor:
        decoders = [
            lambda: _decode_jpeg(file, header, side),
            lambda: _decode_png(file, data),
            lambda: tf.io.decode_bmp(file, channels=3),
        ]
        # No other kind comes here.
        image = tf.switch_case(kind_of(data), [*decoders, decoders[-1]])
        image = tf.ensure_shape(image, [None, None, 3])
        return turn_upright(to_square(image, side, resize), header.orientation)

    nothing = partial(tf.zeros, [side, side, 3], tf.uint8)
    return tf.cond(header.refusal == "", show, nothing), header.refusal


def _decode_jpeg(file: tf.Tensor, header: Header, side: int) -> tf.Tensor:
    """uint8 [height, width, 3]; a large one at a fraction, as by Pillow's draft mode.

    `read_image` asks it for twice the side; the rule is JpegImageFile.draft's.
    """
    larger = tf.minimum(header.width, header.height) // (2 * side)
    ratios = (1, 2, 4, 8)
    decoders = [
        partial(
            tf.io.decode_jpeg,
            file,
            channels=3,
            ratio=ratio,
            dct_method="INTEGER_ACCURATE",
        )
        for ratio in ratios
    ]
    place = tf.reduce_sum(tf.cast(larger >= ratios[1:], tf.int32))
    return tf.switch_case(place, decoders)


def _decode_png(file: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """uint8 [height, width, 3], transparency over white, 16 bits brought to 8."""
    colour = number(data, PNG_COLOUR_PLACE, 1)
    before_pixels = tf.strings.split(file, b"IDAT", 1)[0]
    keyed = tf.size(tf.strings.split(before_pixels, b"tRNS")) > 1
    decode = partial(tf.io.decode_png, file, dtype=tf.uint16)

    def to_8_bits(levels: tf.Tensor) -> tf.Tensor:
        """int32; grey is rounded, of colours Pillow takes the upper byte."""
        levels = tf.cast(levels, tf.int32)
        return tf.where(colour == GREY, (levels + 128) // 257, levels // 256)

    def over_white() -> tf.Tensor:
        rgba = to_8_bits(decode(channels=4))
        return _over_white(rgba[..., :3], rgba[..., 3:])

    # Asked for four channels, TensorFlow misreads what is opaque and below 8 bits.
    see_through = keyed | (colour & ALPHA_BIT > 0)
    rgb = tf.cond(see_through, over_white, lambda: to_8_bits(decode(channels=3)))
    return tf.cast(rgb, tf.uint8)


def _over_white(rgb: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """int32 levels in [0, 255], rounded as by BLEND in Pillow's ImagingUtils.h."""
    sums = 255 * (255 - alpha) + rgb * alpha + 128
    return ((sums // 256) + sums) // 256


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The square, uint8 [side, side, 3], turned as its EXIF orientation asks."""
    turns = ((5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8))
    transposed, mirrored, upended = (
        tf.reduce_any(orientation == tf.constant(those, tf.int64)) for those in turns
    )
    image = tf.where(transposed, tf.transpose(image, [1, 0, 2]), image)
    image = tf.where(mirrored, image[:, ::-1], image)
    return tf.where(upended, image[::-1], image)
