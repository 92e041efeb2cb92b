"""Pixels at the places that geometry asks for, the first thing done to a uint8 batch.

A place is a point (x, y) of a picture. Between pixels its value is interpolated from
four; outside the picture the nearest pixel repeats. Places are found before they are
looked up: in one loop, XLA would find them again for every pixel or channel.
"""

from __future__ import annotations

import warnings

import tensorflow as tf

from alexnet.pipeline.augment import device
from alexnet.pipeline.augment.device import compiled
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
    *,
    axis_aligned: bool = False,
    needs_no_resampling: bool = False,
) -> list[tf.Tensor]:
    """Sample a batch's layers, float32 [batch, side, side, channels] in [0, 255] each.

    A layer of half the side is sampled at the same places, which scales it up as well.

    Args:
        images: uint8 RGB [batch, S, S, 3] or yuv420 planes [batch, 3 S / 2, S].
        transforms: the places of output pixels, float32 [batch, 8]; (a, b, c, d, e, f)
            put (x, y) at (a x + b y + c, d x + e y + f) of the stored picture.
        scaled_side: the side that the stored picture is scaled to.
        axis_aligned: b and d are 0.
        needs_no_resampling: as well, places are whole pixels of the stored picture.
    """
    stored_side = images.shape[2]

    def sample(layer: tf.Tensor) -> tf.Tensor:
        takes_whole = (
            needs_no_resampling and layer.shape[2] == scaled_side == stored_side
        )
        layer = average_blocks(layer, scaled_side)
        places = _transforms_at(transforms, layer.shape[2] / stored_side)
        if not (device.pays() or takes_whole):
            return project(layer, places, side)
        columns, rows = compiled(find_places)(places, side, axis_aligned)
        return compiled(look_up)(layer, columns, rows, takes_whole)

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


def find_places(
    transforms: tf.Tensor, side: int, axis_aligned: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return all places' columns and rows, which broadcast to [batch, side, side]."""
    at = tf.range(side, dtype=tf.float32)
    x, y = at[None, None, :], at[None, :, None]
    x_of_x, x_of_y, x_of_1, y_of_x, y_of_y, y_of_1 = (
        transforms[:, number, None, None] for number in range(6)
    )
    columns, rows = x_of_x * x + x_of_1, y_of_y * y + y_of_1
    if axis_aligned:
        return columns, rows
    return columns + x_of_y * y, rows + y_of_x * x


def look_up(
    layer: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor, takes_whole: bool = False
) -> tf.Tensor:
    """Sample float32 [batch, side, side, channels] by gathers, which XLA compiles."""
    stored_side, channels = layer.shape[2:]
    # There is no GPU kernel that gathers uint8.
    pixels = tf.reshape(
        tf.cast(layer, tf.float32), [-1, stored_side * stored_side, channels]
    )

    def look_at(column: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, row * stored_side + column, batch_dims=1)

    if takes_whole:
        return look_at(*(tf.cast(tf.round(line), tf.int32) for line in (columns, rows)))
    left, right, across = _neighbours(columns, stored_side)
    top, bottom, down = _neighbours(rows, stored_side)
    above = _blend(look_at(left, top), look_at(right, top), across)
    below = _blend(look_at(left, bottom), look_at(right, bottom), across)
    return _blend(above, below, down)


def _neighbours(
    places: tf.Tensor, stored_side: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the pixels before and after places, and the second one's share."""
    places = tf.clip_by_value(places, 0.0, stored_side - 1.0)
    before = tf.floor(places)
    pixel = tf.cast(before, tf.int32)
    return pixel, tf.minimum(pixel + 1, stored_side - 1), places - before


def _blend(first: tf.Tensor, second: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    # Where both are equal, the result is so too, to the last bit.
    return first + (second - first) * share[..., None]


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
