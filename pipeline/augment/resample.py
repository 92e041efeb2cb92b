"""Pixels at the places that geometry asks for, the first thing done to a uint8 batch.

A place is a point (x, y) of the stored picture; where it lies between pixels, its value
is interpolated from four, and outside the picture the nearest pixel repeats.
"""

from __future__ import annotations

import warnings

import tensorflow as tf

from alexnet.pipeline.augment import xla
from alexnet.pipeline.augment.yuv import split_planes

try:
    with warnings.catch_warnings():
        # It announces its end of life; pyproject.toml holds the pair that works.
        warnings.simplefilter("ignore", UserWarning)
        from tensorflow_addons.image import transform as addons_transform
except ImportError:  # No addons for Python 3.12 and later.
    addons_transform = None


def resample(
    images: tf.Tensor,
    transforms: tf.Tensor,
    side: int,
    scaled_side: int,
    needs_no_resampling: bool = False,
) -> list[tf.Tensor]:
    """Sample a batch's layers, float32 [batch, side, side, channels] in [0, 255] each.

    A layer of half the side is sampled at the same places, which scales it up as well.

    Args:
        images: uint8 RGB [batch, S, S, 3] or yuv420 planes [batch, 3 S / 2, S].
        transforms: the places of output pixels, float32 [batch, 8]; (a, b, c, d, e, f)
            put (x, y) at (a x + b y + c, d x + e y + f) of the stored picture.
        scaled_side: the side that the stored picture is scaled to.
        needs_no_resampling: the places are whole pixels, which are simply taken.
    """
    stored_side = images.shape[2]

    def sample(layer: tf.Tensor) -> tf.Tensor:
        if needs_no_resampling and layer.shape[2] == stored_side == scaled_side:
            return pick(layer, transforms, side)
        layer = average_blocks(layer, scaled_side)
        interpolation = interpolate if xla.pays() else project
        return interpolation(
            layer, _transforms_at(transforms, layer.shape[2] / stored_side), side
        )

    return [sample(layer) for layer in split_planes(images)]


def project(layer: tf.Tensor, transforms: tf.Tensor, side: int) -> tf.Tensor:
    """Sample float32 [batch, side, side, channels] by TensorFlow's own kernel.

    tensorflow-addons wraps that very kernel; XLA does not compile it.
    """
    # Sampling uint8 truncates, and is no faster: 64 images took 94 ms in float32 with
    # its cast, 127 ms in uint8, 234 ms in float16 (fastest of 5; 2 CPU cores).
    layer = tf.cast(layer, tf.float32)
    if addons_transform is not None:
        return addons_transform(layer, transforms, "bilinear", "nearest", [side, side])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=layer,
        transforms=transforms,
        output_shape=[side, side],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def interpolate(layer: tf.Tensor, transforms: tf.Tensor, side: int) -> tf.Tensor:
    """Sample as `project` does, by gathers that XLA compiles to one loop."""
    stored_side, channels = layer.shape[2:]
    places = tf.range(side, dtype=tf.float32)
    x, y = places[None, None, :], places[None, :, None]
    x_of_x, x_of_y, x_of_1, y_of_x, y_of_y, y_of_1 = (
        transforms[:, number, None, None] for number in range(6)
    )
    left, right, across = _neighbours(x_of_x * x + x_of_y * y + x_of_1, stored_side)
    top, bottom, down = _neighbours(y_of_x * x + y_of_y * y + y_of_1, stored_side)
    flat = tf.reshape(layer, [-1, stored_side * stored_side, channels])

    def line(row: tf.Tensor) -> tf.Tensor:
        first, second = (
            tf.cast(
                tf.gather(flat, row * stored_side + column, batch_dims=1), tf.float32
            )
            for column in (left, right)
        )
        return _blend(first, second, across)

    return _blend(line(top), line(bottom), down)


def pick(layer: tf.Tensor, transforms: tf.Tensor, side: int) -> tf.Tensor:
    """Take the pixels of transforms without rotation that lead to whole pixels."""
    places = tf.range(side, dtype=tf.float32)
    across = tf.cast(
        tf.round(transforms[:, 0:1] * places + transforms[:, 2:3]), tf.int32
    )
    down = tf.cast(tf.round(transforms[:, 4:5] * places + transforms[:, 5:6]), tf.int32)
    # There is no GPU kernel that gathers uint8.
    lines = tf.gather(tf.cast(layer, tf.float32), down, batch_dims=1)
    return tf.gather(lines, across, axis=2, batch_dims=1)


def average_blocks(layer: tf.Tensor, side: int) -> tf.Tensor:
    """Return the layer, or means of its blocks where it has `side` several times over.

    Bilinear sampling looks at four pixels and would pass the others by.
    """
    stored_side = layer.shape[2]
    factors = range(1, max(1, stored_side // side) + 1)
    factor = max(factor for factor in factors if stored_side % factor == 0)
    if factor == 1:
        return layer
    return tf.nn.avg_pool2d(tf.cast(layer, tf.float32), factor, factor, "VALID")


def _transforms_at(transforms: tf.Tensor, scale: float) -> tf.Tensor:
    """Return the transforms for the same picture at `scale` times its side.

    Pixels are squares around their points: (x, y) lies at (x + 0.5) * scale - 0.5.
    """
    move = (scale - 1) / 2
    return transforms * scale + tf.constant([0.0, 0.0, move, 0.0, 0.0, move, 0.0, 0.0])


def _neighbours(
    places: tf.Tensor, stored_side: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the pixels on both sides, int32, and the second one's weight, float32."""
    places = tf.clip_by_value(places, 0.0, stored_side - 1.0)
    first = tf.floor(places)
    second = tf.minimum(first + 1, stored_side - 1.0)
    return tf.cast(first, tf.int32), tf.cast(second, tf.int32), places - first


def _blend(first: tf.Tensor, second: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    weight = weight[..., None]
    return first * (1 - weight) + second * weight
