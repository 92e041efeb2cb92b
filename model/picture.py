"""An image file's bytes -> the square that a run's network was trained on.

In TensorFlow's operations alone, for a served model, and equal to the last bit to what
`pipeline.pixels` makes of the file; the kinds of which that is not so are refused.
"""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from model.exif import number
from model.file_header import PNG_COLOUR, Header, kind_of, read_header
from model.resample import to_square
from pipeline.config import Resize

# A PNG's colour type without colour or alpha.
GREY = 0


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
            lambda: _decode_png(file, data, header),
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


def _decode_png(file: tf.Tensor, data: tf.Tensor, header: Header) -> tf.Tensor:
    """uint8 [height, width, 3], transparency over white, 16 bits brought to 8."""
    is_grey = number(data, PNG_COLOUR, 1) == GREY

    def decode(channels: int) -> tf.Tensor:
        """int32 levels in [0, 255]; grey is rounded, of colours Pillow cuts 8 bits."""
        deep = tf.io.decode_png(file, channels=channels, dtype=tf.uint16)
        deep = tf.cast(deep, tf.int32)
        return tf.where(is_grey, (deep + 128) // 257, deep // 256)

    # Asked for alpha, TensorFlow misreads what is opaque and of less than 8 bits.
    rgb = tf.cond(header.has_alpha, lambda: _over_white(decode(4)), lambda: decode(3))
    return tf.cast(rgb, tf.uint8)


def _over_white(rgba: tf.Tensor) -> tf.Tensor:
    """int32 RGB in [0, 255] of RGBA, rounded as by BLEND in Pillow's ImagingUtils.h."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    sums = 255 * (255 - alpha) + rgb * alpha + 128
    return ((sums // 256) + sums) // 256


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The square, uint8 [side, side, 3], turned as its EXIF orientation asks."""
    transposed, mirrored, upended = (
        tf.reduce_any(orientation == tf.constant(orders, tf.int64))
        for orders in ((5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8))
    )
    image = tf.where(transposed, tf.transpose(image, [1, 0, 2]), image)
    image = tf.where(mirrored, image[:, ::-1], image)
    return tf.where(upended, image[::-1], image)
