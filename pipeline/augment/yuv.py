"""A batch as it comes to the device: RGB pixels, or the planes of `yuv420`.

RGB is uint8 [batch, S, S, 3]; yuv420 is uint8 [batch, 3 S / 2, S], laid out as I420: S
rows of luma, then Cb and Cr of half the side, S / 4 rows each. Geometry and colour take
either as layers, and the planes become RGB in the colour matrix.
"""

from __future__ import annotations

import tensorflow as tf

from alexnet.pipeline.setting import require


def is_yuv420(images: tf.Tensor) -> bool:
    """Return True for a batch of planes, False for one of RGB pixels."""
    return len(images.shape) == 3


def stored_side_of(images: tf.Tensor) -> int:
    """Return the side of a batch of square pictures, known when the graph is made.

    Raises:
        ConfigError: the pictures are not square, or of unknown size.
    """
    height, width = images.shape[1:3]
    expected = width
    if width is not None and is_yuv420(images):
        expected = 3 * width / 2
    require(
        height is not None and height == expected,
        "the pictures' height and width",
        (height, width),
        "one known side (of yuv420: half as many rows again); build the records with"
        " a fixed `side`",
    )
    return int(width)


def split_planes(images: tf.Tensor) -> list[tf.Tensor]:
    """Return RGB alone, or luma uint8 [batch, S, S, 1] and CbCr [batch, S/2, S/2, 2].

    A strided slice is the only one that has a GPU kernel for uint8.
    """
    if not is_yuv420(images):
        return [images]
    side = images.shape[2]
    halves = tf.reshape(images[:, side:], [-1, 2, side // 2, side // 2])
    return [images[:, :side, :, None], tf.transpose(halves, [0, 2, 3, 1])]
