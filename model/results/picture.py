"""An image file's bytes -> the square that a run's network was trained on.

In TensorFlow's operations alone, for a served model, and equal to the last bit to what
`pipeline.records` makes of it; the kinds of which that is not so are refused.
"""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from alexnet.model.results.exif import number
from alexnet.model.results.file_header import (
    PNG_COLOUR,
    PNG_DEPTH,
    Header,
    kind_of,
    read_header,
)
from alexnet.model.results.resample import to_square
from alexnet.pipeline.config import Resize

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
    depth, colour = number(data, PNG_DEPTH, 1), number(data, PNG_COLOUR, 1)

    def halve(channels: int) -> tf.Tensor:
        deep = tf.io.decode_png(file, channels=channels, dtype=tf.uint16)
        deep = tf.cast(deep, tf.int32)
        # Grey is rounded; of colours, Pillow takes the upper half.
        levels = tf.where(colour == GREY, (deep + 128) // 257, deep // 256)
        return tf.cast(levels, tf.uint8)

    def decode(channels: int) -> tf.Tensor:
        as_stored = partial(tf.io.decode_png, file, channels)
        return tf.cond(depth == 16, partial(halve, channels), as_stored)

    # Asked for alpha, TensorFlow misreads what is opaque and of less than 8 bits.
    return tf.cond(header.has_alpha, lambda: _over_white(decode(4)), partial(decode, 3))


def _over_white(rgba: tf.Tensor) -> tf.Tensor:
    """uint8 RGB of RGBA, rounded as by BLEND in Pillow's ImagingUtils.h."""
    rgb, alpha = tf.split(tf.cast(rgba, tf.int32), [3, 1], axis=-1)
    sums = 255 * (255 - alpha) + rgb * alpha + 128
    return tf.cast((sums // 256 + sums) // 256, tf.uint8)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The square, uint8 [side, side, 3], turned as its EXIF orientation asks."""
    transposed, mirrored, upended = (
        tf.reduce_any(orientation == tf.constant(orders, tf.int64))
        for orders in ((5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8))
    )
    image = tf.where(transposed, tf.transpose(image, [1, 0, 2]), image)
    image = tf.where(mirrored, image[:, ::-1], image)
    return tf.where(upended, image[::-1], image)
