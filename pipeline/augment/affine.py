"""Geometry on the device: stored squares to the network's side, in one resample.

Crop, zoom, rotation, shear, shift and both flips are one matrix an image, so every
pixel is interpolated once. It is the first thing that happens to a uint8 batch on
the device; `color` comes after it.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import tensorflow as tf

from alexnet.pipeline.augment.yuv import split_planes, stored_side_of
from alexnet.pipeline.config import AugmentConfig, Geometry, require

with warnings.catch_warnings():
    # Its end of life is known here: pyproject.toml holds the last pair that works.
    warnings.simplefilter("ignore", UserWarning)
    import tensorflow_addons as tfa

# Krizhevsky 2012: crops of this side (section 4.1, see `NetworkConfig`) out of squares
# of that one (section 2).
CROP, STORED = 227, 256
# A crop that covers a twentieth less of a side is left as it is: all its pixels are
# stored ones, and 224 px of 256 px are as usual.
NEAR = 0.95


class AffineDraw(NamedTuple):
    """What one batch's geometry is, float32 [batch] each.

    The meaning is that of Keras 2's `apply_affine_transform` followed by its flips.
    All parameters say where an output pixel looks: a shift_x above 0 looks further to
    the right, so the picture moves left (Keras calls this `tx`), a zoom above 1 shows
    more of the picture. Shifts are shares of the stored side, flips are 0 or 1.
    """

    rotation_degrees: tf.Tensor
    shift_x: tf.Tensor
    shift_y: tf.Tensor
    shear_degrees: tf.Tensor
    zoom_x: tf.Tensor
    zoom_y: tf.Tensor
    flip_horizontal: tf.Tensor
    flip_vertical: tf.Tensor


def identity_draw(batch: int | tf.Tensor) -> AffineDraw:
    """The draw that moves nothing: the centre crop, or the whole picture."""
    zeros, ones = tf.zeros([batch]), tf.ones([batch])
    return AffineDraw(zeros, zeros, zeros, zeros, ones, ones, zeros, zeros)


def draw_affine(
    config: AugmentConfig,
    seed: tf.Tensor,
    batch: int | tf.Tensor,
    stored_side: int,
    side: int,
) -> AffineDraw:
    """A draw for `batch` images, a function of `seed` (int [2]) alone."""
    draws = tf.unstack(tf.random.stateless_uniform([12, batch], seed))
    rotation, shift_x, shift_y, shear, zoom_x, zoom_y, flip_x, flip_y = draws[:8]
    left, top, width, height = _window(config, stored_side, side, draws[8:])
    return AffineDraw(
        rotation_degrees=config.rotation_degrees * (2 * rotation - 1),
        shift_x=config.shift_x * (2 * shift_x - 1) + left,
        shift_y=config.shift_y * (2 * shift_y - 1) + top,
        shear_degrees=config.shear_degrees * (2 * shear - 1),
        zoom_x=_between(zoom_x, *config.zoom) * width,
        zoom_y=_between(zoom_y, *config.zoom) * height,
        flip_horizontal=config.flip_horizontal * tf.cast(flip_x < 0.5, tf.float32),
        flip_vertical=config.flip_vertical * tf.cast(flip_y < 0.5, tf.float32),
    )


def apply_affine(
    images: tf.Tensor,
    draw: AffineDraw,
    side: int,
    geometry: Geometry,
    needs_no_resampling: bool = False,
) -> list[tf.Tensor]:
    """The batch's layers, float32 [batch, side, side, channels] in [0, 255] each.

    Bilinear; outside the picture its nearest pixel repeats (Keras: fill 'nearest'). A
    layer of half the side is sampled at the same places, which scales it up as well.

    Args:
        needs_no_resampling: the draw only crops and flips, so that each pixel is a
            stored one: the same values, three times as fast.

    Raises:
        ConfigError: the pictures are not square, or smaller than a crop's side.
    """
    stored_side = stored_side_of(images)
    rows = affine_rows(draw, stored_side, side, geometry)
    scaled = scaled_side(stored_side, side, geometry)

    def place(layer: tf.Tensor) -> tf.Tensor:
        if needs_no_resampling and layer.shape[2] == stored_side == scaled:
            return _pick(layer, rows, side)
        layer = average_blocks(layer, scaled)
        return _sample(layer, _rows_at(rows, layer.shape[2] / stored_side), side)

    return [place(layer) for layer in split_planes(images)]


def affine_rows(
    draw: AffineDraw, stored_side: int, side: int, geometry: Geometry
) -> tf.Tensor:
    """float32 [batch, 8]: where each output pixel (x, y) lies in the stored picture.

    With rotation R, shear K and zoom Z, Keras's R @ shift @ K @ Z has the linear part
    R K Z, which the angle sums simplify, and the translation R shift.

    Raises:
        ConfigError: a crop's side is larger than the stored side.
    """
    draw = AffineDraw(*(tf.cast(value, tf.float64) for value in draw))
    scale, centre = _frame(stored_side, side, geometry)
    turn, shear = _radians(draw.rotation_degrees), _radians(draw.shear_degrees)
    zoom_x = scale * draw.zoom_x * (1 - 2 * draw.flip_horizontal)
    zoom_y = scale * draw.zoom_y * (1 - 2 * draw.flip_vertical)
    x_of_x, x_of_y = tf.cos(turn) * zoom_x, -tf.sin(turn + shear) * zoom_y
    y_of_x, y_of_y = tf.sin(turn) * zoom_x, tf.cos(turn + shear) * zoom_y
    shift_x, shift_y = draw.shift_x * stored_side, draw.shift_y * stored_side
    move_x = tf.cos(turn) * shift_x - tf.sin(turn) * shift_y
    move_y = tf.sin(turn) * shift_x + tf.cos(turn) * shift_y
    middle, zeros = (side - 1) / 2, tf.zeros_like(turn)
    x_of_1 = centre + move_x - (x_of_x + x_of_y) * middle
    y_of_1 = centre + move_y - (y_of_x + y_of_y) * middle
    rows = [x_of_x, x_of_y, x_of_1, y_of_x, y_of_y, y_of_1, zeros, zeros]
    # float64 leaves sin(180 degrees) at 1e-16; rounded off, a half-turn is exact.
    exact = tf.round(tf.stack(rows, axis=1) * 2**32) / 2**32
    return tf.cast(exact, tf.float32)


def scaled_side(stored_side: int, side: int, geometry: Geometry) -> int:
    """The side that the stored square is scaled to, of which `side` is then cut.

    A crop covers as much of the picture as one of 227 px covers of 256 px, or more: a
    square that is too large for that is scaled down first.
    """
    if geometry not in ("centre", "crop"):
        return side
    wanted = side * STORED / CROP
    return round(wanted) if wanted < NEAR * stored_side else stored_side


def average_blocks(layer: tf.Tensor, side: int) -> tf.Tensor:
    """The layer, or means of its blocks where it has `side` several times over.

    Bilinear sampling looks at four pixels and would pass the others by.
    """
    stored_side = layer.shape[2]
    factors = range(1, max(1, stored_side // side) + 1)
    factor = max(factor for factor in factors if stored_side % factor == 0)
    if factor == 1:
        return layer
    return tf.nn.avg_pool2d(tf.cast(layer, tf.float32), factor, factor, "VALID")


def crop_offset(stored_side: int, side: int) -> int:
    """Where the centre crop starts, in pixels from the left and from the top.

    Raises:
        ConfigError: the crop's side is larger than the stored side.
    """
    require(
        side <= stored_side,
        "the network's side",
        side,
        f"at most the stored {stored_side} pixels for a crop; build the records"
        " with a larger `side`",
    )
    return (stored_side - side) // 2


def _rows_at(rows: tf.Tensor, scale: float) -> tf.Tensor:
    """`affine_rows` for the same picture at `scale` times its side.

    Pixels are squares around their points: (x, y) lies at (x + 0.5) * scale - 0.5.
    """
    move = (scale - 1) / 2
    return rows * scale + tf.constant([0.0, 0.0, move, 0.0, 0.0, move, 0.0, 0.0])


def _sample(layer: tf.Tensor, rows: tf.Tensor, side: int) -> tf.Tensor:
    # Sampling uint8 truncates, and is no faster: 64 images took 94 ms in float32 with
    # its cast, 127 ms in uint8, 234 ms in float16 (fastest of 5; 2 CPU cores).
    return tfa.image.transform(
        tf.cast(layer, tf.float32),
        rows,
        interpolation="bilinear",
        fill_mode="nearest",
        output_shape=[side, side],
    )


def _pick(layer: tf.Tensor, rows: tf.Tensor, side: int) -> tf.Tensor:
    """What `_sample` makes of rows that lead from whole pixels to whole pixels.

    128 images took 33 ms, sampling them 105 (fastest of 12; 2 CPU cores).
    """
    places = tf.range(side, dtype=tf.float32)
    across = tf.cast(tf.round(rows[:, 0:1] * places + rows[:, 2:3]), tf.int32)
    down = tf.cast(tf.round(rows[:, 4:5] * places + rows[:, 5:6]), tf.int32)
    # There is no GPU kernel that gathers uint8.
    lines = tf.gather(tf.cast(layer, tf.float32), down, batch_dims=1)
    return tf.gather(lines, across, axis=2, batch_dims=1)


def _frame(stored_side: int, side: int, geometry: Geometry) -> tuple[float, float]:
    """Stored pixels an output pixel spans, and the stored point at the output's middle.

    A crop's middle may lie half a pixel off the picture's: it starts on a whole pixel
    of the picture that was scaled for it.
    """
    scaled = scaled_side(stored_side, side, geometry)
    scale = stored_side / scaled
    middle = crop_offset(scaled, side) + side / 2
    return scale, middle * scale - 0.5


def _window(
    config: AugmentConfig, stored_side: int, side: int, draws: list[tf.Tensor]
) -> tuple[tf.Tensor, ...]:
    """Shifts (x, y) and zooms (x, y) of the geometry's random window.

    `draws` are four, float32 [batch] in [0, 1).
    """
    across, down, area, ratio = draws
    none, one = tf.zeros_like(area), tf.ones_like(area)
    if config.geometry == "crop":
        scaled = scaled_side(stored_side, side, config.geometry)
        start, starts = crop_offset(scaled, side), scaled - side + 1
        left, top = tf.floor(across * starts), tf.floor(down * starts)
        return (left - start) / scaled, (top - start) / scaled, one, one
    if config.geometry == "resized":
        width, height = _window_shape(config, area, ratio)
        return (across - 0.5) * (1 - width), (down - 0.5) * (1 - height), width, height
    return none, none, one, one


def _window_shape(
    config: AugmentConfig, area: tf.Tensor, ratio: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Width and height of a random-resized-crop's window, shares of the stored side.

    Szegedy 2015 (Going deeper with convolutions, section 6), the ratio's logarithm
    drawn evenly. Ratios that do not fit into the picture at this area are not drawn,
    where others try ten times and give up.
    """
    area = _between(area, *config.scale)
    widest = -tf.math.log(area)
    low, high = (
        tf.clip_by_value(tf.fill(tf.shape(area), math.log(end)), -widest, widest)
        for end in config.ratio
    )
    stretch = tf.exp(_between(ratio, low, high) / 2)
    return tf.sqrt(area) * stretch, tf.sqrt(area) / stretch


def _between(
    share: tf.Tensor, low: float | tf.Tensor, high: float | tf.Tensor
) -> tf.Tensor:
    return low + (high - low) * share


def _radians(degrees: tf.Tensor) -> tf.Tensor:
    return degrees * (math.pi / 180)
