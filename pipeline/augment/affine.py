"""Geometry: crop, zoom, rotation, shear, shift and both flips as one matrix an image.

So every pixel is interpolated once (`resample`), on its way from the stored square to
the network's side; `color` comes after it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from alexnet.pipeline.augment.device import HOST
from alexnet.pipeline.augment.resample import resample
from alexnet.pipeline.augment.trivial import warp_views
from alexnet.pipeline.augment.yuv import stored_side_of
from alexnet.pipeline.config import AugmentConfig, Geometry
from alexnet.pipeline.setting import require

# Krizhevsky 2012: crops of this side (section 4.1, see `NetworkConfig`) out of squares
# of that one (section 2).
CROP, STORED = 227, 256
# A crop that covers a twentieth less of a side is left as it is: all its pixels are
# stored ones, and 224 px of 256 px are as usual.
NEAR = 0.95


class AffineDraw(NamedTuple):
    """Geometry of one batch, float32 [batch] each.

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


def draw_affine(
    config: AugmentConfig,
    seed: tf.Tensor,
    batch: int | tf.Tensor,
    stored_side: int,
    side: int,
) -> AffineDraw:
    """Draw for `batch` images, as a function of `seed` (int [2]) alone."""
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
    *,
    axis_aligned: bool = False,
    needs_no_resampling: bool = False,
    warp: tf.Tensor | None = None,
) -> list[tf.Tensor]:
    """Return the batch's layers, float32 [batch, side, side, channels] in [0, 255].

    Args:
        axis_aligned: the draw neither rotates nor shears: the same values, sooner.
        needs_no_resampling: the draw only crops and flips, so that each pixel is a
            stored one: the same values, sooner yet.
        warp: of the view that the draw makes, float32 [batch, 2, 3], as
            `TrivialDraw` has it.

    Raises:
        ConfigError: the pictures are not square, or smaller than a crop's side.
    """
    stored_side = stored_side_of(images)
    with tf.device(HOST):
        transforms = affine_transforms(draw, stored_side, side, geometry)
        if warp is not None:
            transforms = warp_views(transforms, warp, side)
    return resample(
        images,
        transforms,
        side,
        scaled_side(stored_side, side, geometry),
        axis_aligned=axis_aligned,
        needs_no_resampling=needs_no_resampling,
    )


def affine_transforms(
    draw: AffineDraw, stored_side: int, side: int, geometry: Geometry
) -> tf.Tensor:
    """Return the stored places of output pixels (x, y), float32 [batch, 8].

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
    """Return the side that the stored square is scaled to before `side` is cut of it.

    A crop covers as much of the picture as one of 227 px covers of 256 px, or more: a
    square that is too large for that is scaled down first.
    """
    if geometry not in ("centre", "crop"):
        return side
    wanted = side * STORED / CROP
    return round(wanted) if wanted < NEAR * stored_side else stored_side


def crop_offset(stored_side: int, side: int, share: float = 0.5) -> int:
    """Return the pixels left of, or above, a crop: a share of those that it leaves out.

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
    return int((stored_side - side) * share)


def _frame(stored_side: int, side: int, geometry: Geometry) -> tuple[float, float]:
    """Return the stored pixels an output pixel spans, and the point at the middle.

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
    """Return shifts (x, y) and zooms (x, y) of the geometry's random window.

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
    """Return a random-resized-crop's width and height as shares of the stored side.

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
