"""Colour on the device: every linear change of colour is one 3x3 matrix and a bias.

Brightness, contrast, saturation, lighting and normalisation are multiplied together
for each image first, and touch the pixels once, in float32, after the geometry. The
conversion of `yuv420` from YCbCr to RGB is part of the same matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.records.image import RGB_OF_YCBCR

# ITU-R BT.601, as Pillow's greyscale; the shares add up to 1.
LUMA = (0.299, 0.587, 0.114)
# Contrast turns about this grey. The picture's own mean (Pillow) would cost another
# pass over its pixels.
MID_GREY = 127.5
# Square roots of the eigenvalues, and eigenvectors (columns; rows R, G, B), of the RGB
# covariance over ImageNet, as in fb.resnet.torch and MXNet; here for [0, 255].
LIGHTING_VALUES = tuple(255 * value for value in (0.2175, 0.0188, 0.0045))
LIGHTING_VECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


class ColorDraw(NamedTuple):
    """Changes of one batch's colours: factors float32 [batch], lighting [batch, 3].

    `lighting` holds the weights of the three principal components.
    """

    brightness: tf.Tensor
    contrast: tf.Tensor
    saturation: tf.Tensor
    lighting: tf.Tensor


def neutral_draw(batch: int | tf.Tensor) -> ColorDraw:
    """Return the draw that changes no colour."""
    ones = tf.ones([batch])
    return ColorDraw(ones, ones, ones, tf.zeros([batch, 3]))


def draw_color(
    config: AugmentConfig, seed: tf.Tensor, batch: int | tf.Tensor
) -> ColorDraw:
    """Draw for `batch` images, as a function of `seed` (int [2]) alone."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    shares = tf.random.stateless_uniform([3, batch], seeds[0], -1.0, 1.0)
    brightness, contrast, saturation = tf.unstack(shares)
    return ColorDraw(
        brightness=1 + config.brightness * brightness,
        contrast=1 + config.contrast * contrast,
        saturation=1 + config.saturation * saturation,
        lighting=config.lighting * tf.random.stateless_normal([batch, 3], seeds[1]),
    )


def color_matrix(
    config: AugmentConfig, draw: ColorDraw, ycbcr: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a matrix float32 [batch, 3, 3] and a bias [batch, 3] of all changes.

    In this order: brightness, contrast about mid-grey, saturation, lighting and
    normalisation. With `ycbcr` they take Y, Cb and Cr instead of R, G and B.
    """
    saturation = draw.saturation[:, None, None]
    grey = tf.broadcast_to(tf.constant(LUMA), [3, 3])
    matrix = saturation * tf.eye(3) + (1 - saturation) * grey
    matrix *= (draw.brightness * draw.contrast)[:, None, None]
    # Saturation leaves the grey that contrast adds as it is.
    bias = (1 - draw.contrast)[:, None] * MID_GREY + _lighting(draw.lighting)
    mean, std = (
        tf.constant(config.mean, tf.float32),
        tf.constant(config.std, tf.float32),
    )
    matrix, bias = matrix / std[:, None], (bias - mean) / std
    return _for_ycbcr(matrix, bias) if ycbcr else (matrix, bias)


def apply_color(
    layers: Sequence[tf.Tensor], matrix: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
    """Return matrix @ pixel + bias, float32 [batch, height, width, 3], not clipped.

    A pixel's channels are those of all layers, float32 [batch, height, width, channels]
    each, one layer after the other. On a GPU, TensorFlow's default TensorFloat-32
    rounds what it multiplies to 11 bits, as many as float16 has.
    """
    columns = tf.split(matrix, [layer.shape[-1] for layer in layers], axis=-1)
    parts = [
        tf.einsum("bhwc,bdc->bhwd", layer, part)
        for layer, part in zip(layers, columns, strict=True)
    ]
    # For a whole row: broadcasting one pixel's bias made it 18 ms instead of 11.
    return tf.add_n(parts) + tf.repeat(bias[:, None, None], layers[0].shape[2], axis=2)


def apply_diagonal(layer: tf.Tensor, matrix: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Return what `apply_color` does, for a matrix that keeps channels apart."""
    scale = tf.linalg.diag_part(matrix)
    return layer * scale[:, None, None] + bias[:, None, None]


def _for_ycbcr(matrix: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the matrix and bias for Y, Cb and Cr, of those for R, G and B."""
    # Not a matrix product, which a GPU rounds to TensorFloat-32.
    rgb = tf.constant(RGB_OF_YCBCR, shape=[3, 4])
    folded = tf.reduce_sum(matrix[..., None] * rgb, axis=2)
    return folded[..., :3], bias + folded[..., 3]


def _lighting(weights: tf.Tensor) -> tf.Tensor:
    """Return what is added to R, G and B, float32 [batch, 3] (Krizhevsky 2012, 4.1)."""
    vectors = tf.constant(LIGHTING_VECTORS)
    return tf.linalg.matvec(vectors, weights * tf.constant(LIGHTING_VALUES))
