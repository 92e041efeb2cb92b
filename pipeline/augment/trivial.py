"""TrivialAugment: one change to each image, its kind and strength drawn evenly.

Müller and Hutter 2021, with the magnitudes of its wide space. A warp joins the one
resample, a factor the one colour matrix; the rest changes levels, pixel by pixel.
Sharpness and equalize of the original are left out: they look at more than a pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

CHANGES = (
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "contrast", "color", "posterize", "solarize", "autocontrast"),
)
# The largest magnitudes, table 1's "wide": the original shifts by 32 px of 224 px.
SHEAR, SHIFT, ROTATION = 0.99, 32 / 224, math.radians(135)
FACTOR = 0.99
# Of 8 bits, two are left.
DROPPED_BITS = 6
# A level that no pixel reaches.
NEVER = 256.0


class TrivialDraw(NamedTuple):
    """One change for each image of a batch, beside what leaves it as it is.

    `warp` holds rows (a, b, c) and (d, e, f), float32 [batch, 2, 3]: the pixel at
    (x, y) from the view's middle looks at (a x + b y + c, d x + e y + f); c and f are
    shares of its side. The others are float32 [batch]: factors as in `ColorDraw`, the
    number of lowest bits to clear, the level from which levels are inverted, and 1
    where they are stretched to the whole range.
    """

    warp: tf.Tensor
    brightness: tf.Tensor
    contrast: tf.Tensor
    saturation: tf.Tensor
    dropped_bits: tf.Tensor
    inverted_from: tf.Tensor
    stretched: tf.Tensor


def draw_trivial(seed: tf.Tensor, batch: int | tf.Tensor) -> TrivialDraw:
    """Draw for `batch` images, as a function of `seed` (int [2]) alone."""
    which, strength = tf.unstack(tf.random.stateless_uniform([2, batch], seed))
    kind = tf.floor(which * len(CHANGES))
    signed = 2 * strength - 1

    def drawn(change: str, value: tf.Tensor | float, neutral: float = 0.0) -> tf.Tensor:
        return tf.where(kind == CHANGES.index(change), value, neutral)

    turn = drawn("rotate", ROTATION * signed)
    # Of all of these, one at most is not 0.
    shear_x, shear_y = (drawn(f"shear_{axis}", SHEAR * signed) for axis in "xy")
    move_x, move_y = (drawn(f"translate_{axis}", SHIFT * signed) for axis in "xy")
    first = [tf.cos(turn), shear_x - tf.sin(turn), move_x]
    second = [shear_y + tf.sin(turn), tf.cos(turn), move_y]
    return TrivialDraw(
        warp=tf.stack([tf.stack(first, 1), tf.stack(second, 1)], 1),
        brightness=drawn("brightness", 1 + FACTOR * signed, 1.0),
        contrast=drawn("contrast", 1 + FACTOR * signed, 1.0),
        saturation=drawn("color", 1 + FACTOR * signed, 1.0),
        dropped_bits=drawn("posterize", tf.round(DROPPED_BITS * strength)),
        inverted_from=drawn("solarize", 255 * (1 - strength), NEVER),
        stretched=drawn("autocontrast", 1.0),
    )


def warp_views(transforms: tf.Tensor, warp: tf.Tensor, side: int) -> tf.Tensor:
    """Return the stored places of warped views' pixels, float32 [batch, 8].

    Args:
        transforms: those of the views as they were, float32 [batch, 8].
        warp: float32 [batch, 2, 3], as `TrivialDraw` has it.
        side: that of the views, in pixels.
    """
    middle = (side - 1) / 2
    linear = warp[:, :, :2]
    start = warp[:, :, 2] * side + middle - tf.reduce_sum(linear, 2) * middle
    last = tf.broadcast_to([[[0.0, 0.0, 1.0]]], [tf.shape(warp)[0], 1, 3])
    moved = tf.concat([tf.concat([linear, start[:, :, None]], 2), last], 1)
    ones = tf.ones_like(transforms[:, :1])
    placed = tf.reshape(tf.concat([transforms, ones], 1), [-1, 3, 3])
    return tf.reshape(placed @ moved, [-1, 9])[:, :8]


def apply_levels(
    view: tf.Tensor,
    draw: TrivialDraw,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> tf.Tensor:
    """Change levels of float32 [batch, side, side, 3] in [0, 255], and normalise them.

    Posterize and autocontrast as Pillow's `ImageOps` have them, solarize too, but for
    levels between whole ones; what colours have moved beyond 0 or 255 is cut off first.
    """
    dropped_bits, inverted_from, stretched = (
        values[:, None, None, None] for values in draw[-3:]
    )
    view = tf.clip_by_value(view, 0.0, 255.0)
    step = 2**dropped_bits
    view = tf.where(step > 1, step * tf.floor((view + 0.5) / step), view)
    view = tf.where(view >= inverted_from, 255 - view, view)
    low = tf.reduce_min(view, [1, 2], keepdims=True)
    high = tf.reduce_max(view, [1, 2], keepdims=True)
    can_stretch = (stretched > 0) & (high > low)
    low = tf.where(can_stretch, low, 0.0)
    high = tf.where(can_stretch, high, 255.0)
    view = (view - low) * (255 / (high - low))
    return (view - tf.constant(mean)) / tf.constant(std)
