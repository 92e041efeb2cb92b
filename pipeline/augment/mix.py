"""Random erasing, mixup and cutmix, which come after the colours.

Images are float32 and normalised here, so 0 is the mean colour. The partner of an
image is the one before it in the same batch, and with several replicas that is in
the replica's own share of the batch: nothing crosses between devices.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from alexnet.pipeline.config import AugmentConfig

# Zhong 2017 (Random erasing), section 4; the area's upper end is torchvision's.
ERASED_AREA = (0.02, 0.33)
ERASED_RATIO = (0.3, 1 / 0.3)


class Box(NamedTuple):
    """Rectangles, one an image, in whole pixels, float32 [batch]; empty if none."""

    top: tf.Tensor
    left: tf.Tensor
    bottom: tf.Tensor
    right: tf.Tensor


class MixDraw(NamedTuple):
    """Shares that images keep of themselves, float32 [batch], less their boxes."""

    weight: tf.Tensor
    box: Box


def draw_erasing(
    config: AugmentConfig, seed: tf.Tensor, batch: int | tf.Tensor, side: int
) -> Box:
    """Draw a rectangle to blank in each image, empty but for a share of `erasing`."""
    chance, x, y, area, ratio = tf.unstack(
        tf.random.stateless_uniform([5, batch], seed)
    )
    low, high = ERASED_AREA
    area = tf.where(chance < config.erasing, low + (high - low) * area, 0.0)
    low, high = (math.log(end) for end in ERASED_RATIO)
    stretch = tf.exp((low + (high - low) * ratio) / 2)
    width = tf.round(tf.minimum(tf.sqrt(area) * stretch, 1.0) * side)
    height = tf.round(tf.minimum(tf.sqrt(area) / stretch, 1.0) * side)
    left, top = tf.round(x * (side - width)), tf.round(y * (side - height))
    return Box(top, left, top + height, left + width)


def apply_erasing(images: tf.Tensor, box: Box) -> tf.Tensor:
    """Blank the boxes of float32 [batch, side, side, 3] to 0, the mean colour."""
    return tf.where(_inside(box, images.shape[1]), 0.0, images)


def draw_mix(
    config: AugmentConfig, seed: tf.Tensor, batch: int | tf.Tensor, side: int
) -> MixDraw:
    """Draw how each image is mixed: by mixup or cutmix, evenly if both are on.

    Mixup (Zhang 2018) draws the weight, and the larger share stays the image's own
    (as in fastai): the batch would else hold near copies of the partners. Cutmix (Yun
    2019) leaves it at 1 and draws the box, cut off at the picture's edge. One of the
    two must be on.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    which, x, y = tf.unstack(tf.random.stateless_uniform([3, batch], seeds[0]))
    mixup, cutmix = config.mixup > 0, config.cutmix > 0
    cut = which < cutmix / (mixup + cutmix)
    kept = _beta(tf.where(cut, float(config.cutmix), float(config.mixup)), seeds[1])
    half = tf.where(cut, tf.sqrt(1 - kept) / 2, 0.0)
    edges = [_edge(centre + half * way, side) for way in (-1, 1) for centre in (y, x)]
    weight = tf.where(cut, 1.0, tf.maximum(kept, 1 - kept))
    return MixDraw(weight, Box(*edges))


def apply_mix(
    images: tf.Tensor, one_hot: tf.Tensor, draw: MixDraw
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix images, and labels float32 [batch, classes], with their partners'.

    A label keeps exactly the share that its image keeps of the pixels.
    """
    side, box = images.shape[1], draw.box
    weight = draw.weight[:, None, None, None]
    kept = tf.where(_inside(box, side), 0.0, weight)
    images = kept * images + (1 - kept) * tf.roll(images, 1, axis=0)
    area = (box.bottom - box.top) * (box.right - box.left) / side**2
    share = (draw.weight * (1 - area))[:, None]
    return images, share * one_hot + (1 - share) * tf.roll(one_hot, 1, axis=0)


def _inside(box: Box, side: int) -> tf.Tensor:
    """Mark the pixels that lie in their image's box, bool [batch, side, side, 1]."""
    at = tf.range(side, dtype=tf.float32)
    rows = (at >= box.top[:, None]) & (at < box.bottom[:, None])
    columns = (at >= box.left[:, None]) & (at < box.right[:, None])
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _edge(share: tf.Tensor, side: int) -> tf.Tensor:
    """Return the whole pixel at a share of the side, not outside the picture."""
    return tf.round(tf.clip_by_value(share, 0.0, 1.0) * side)


def _beta(alpha: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draw float32 [batch] from Beta(alpha, alpha), for a small alpha too.

    A gamma(alpha) draw is gamma(alpha + 1) * uniform**(1 / alpha) (Marsaglia and Tsang
    2000, section 6); in logarithms it does not underflow.
    """
    shape = [2, tf.shape(alpha)[0]]
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    gamma = tf.random.stateless_gamma(shape, seeds[0], alpha + 1)
    # Away from 0, whose logarithm is infinite.
    uniform = tf.random.stateless_uniform(shape, seeds[1], 1e-7, 1.0)
    one, other = tf.unstack(tf.math.log(gamma) + tf.math.log(uniform) / alpha)
    return tf.sigmoid(one - other)
