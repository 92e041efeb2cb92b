"""Augmentation of a batch: uint8 as it is stored to normalised float32 of the network.

Runs on the device that trains, or in tf.data; the caller casts to the compute type.
Draws are made for the whole global batch and a replica takes its rows of them, so a
step sees the same draws on any number of replicas.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import tensorflow as tf

from alexnet.pipeline.augment.affine import (
    apply_affine,
    crop_offset,
    draw_affine,
    scaled_side,
)
from alexnet.pipeline.augment.color import (
    ColorDraw,
    apply_color,
    apply_diagonal,
    color_matrix,
    draw_color,
    neutral_draw,
)
from alexnet.pipeline.augment.device import HOST, compiled
from alexnet.pipeline.augment.mix import (
    apply_erasing,
    apply_mix,
    draw_erasing,
    draw_mix,
)
from alexnet.pipeline.augment.resample import average_blocks
from alexnet.pipeline.augment.trivial import TrivialDraw, apply_levels, draw_trivial
from alexnet.pipeline.augment.yuv import is_yuv420, split_planes, stored_side_of
from alexnet.pipeline.config import AugmentConfig

_Draws = TypeVar("_Draws")
# Of a crop: down and across, as shares of its way from one edge to the other.
Place = tuple[float, float]
CENTRE: Place = (0.5, 0.5)


def fold_seed(seed: int | tf.Tensor, *numbers: int | tf.Tensor) -> tf.Tensor:
    """Fold numbers such as epoch and step into a seed: a stateless seed, int32 [2].

    `seed` is one number, or a folded seed to fold further.
    """
    with tf.device(HOST):
        folded = tf.cast(seed, tf.int32)
        if folded.shape.rank == 0:
            folded = tf.stack([folded, 0])
        for number in numbers:
            folded = tf.random.experimental.stateless_fold_in(
                folded, tf.cast(number, tf.int32)
            )
        return folded


def augment_batch(
    images: tf.Tensor,
    config: AugmentConfig,
    side: int,
    seed: tf.Tensor,
    first_row: int | tf.Tensor,
    total_rows: int | tf.Tensor,
) -> tf.Tensor:
    """Augment and normalise images to float32 [batch, side, side, 3].

    Args:
        images: uint8 RGB [batch, S, S, 3] or yuv420 planes [batch, 3 S / 2, S]: the
            rows from `first_row` of the global batch of `total_rows`.
        seed: the step's, of `fold_seed`.

    Raises:
        ConfigError: the pictures are not square, or smaller than a crop's side.
    """
    count, stored_side = tf.shape(images)[0], stored_side_of(images)
    ycbcr = is_yuv420(images)
    change = None
    with tf.device(HOST):
        affine = draw_affine(config, fold_seed(seed, 0), total_rows, stored_side, side)
        color = draw_color(config, fold_seed(seed, 1), total_rows)
        box = draw_erasing(config, fold_seed(seed, 2), total_rows, side)
        affine, color, box = _rows((affine, color, box), first_row, count)
        if config.trivial:
            change = draw_trivial(fold_seed(seed, 4), total_rows)
            change = _rows(change, first_row, count)
    layers = apply_affine(
        images,
        affine,
        side,
        config.geometry,
        axis_aligned=config.axis_aligned,
        needs_no_resampling=config.needs_no_resampling,
        warp=change and change.warp,
    )
    if change:
        view = _change(layers, config, color, change, ycbcr)
    else:
        view = _color(layers, config, color, ycbcr)
    return compiled(apply_erasing)(view, box) if config.erasing else view


def _color(
    layers: list[tf.Tensor], config: AugmentConfig, draw: ColorDraw, ycbcr: bool
) -> tf.Tensor:
    """Return RGB in the drawn colours, normalised."""
    with tf.device(HOST):
        matrix, bias = color_matrix(config, draw, ycbcr)
    if ycbcr or config.saturation:
        return apply_color(layers, matrix, bias)
    return compiled(apply_diagonal)(layers[0], matrix, bias)


def _change(
    layers: list[tf.Tensor],
    config: AugmentConfig,
    color: ColorDraw,
    change: TrivialDraw,
    ycbcr: bool,
) -> tf.Tensor:
    """Return RGB in the drawn colours and with each image's change, normalised."""
    with tf.device(HOST):
        color = color._replace(
            brightness=color.brightness * change.brightness,
            contrast=color.contrast * change.contrast,
            saturation=color.saturation * change.saturation,
        )
        pixels = replace(config, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        matrix, bias = color_matrix(pixels, color, ycbcr)
    view = apply_color(layers, matrix, bias)
    return compiled(apply_levels)(view, change, config.mean, config.std)


def preprocess_batch(
    images: tf.Tensor, config: AugmentConfig, side: int, place: Place = CENTRE
) -> tf.Tensor:
    """Normalise a batch as `augment_batch` does, with nothing random.

    The whole picture scaled for the geometry 'whole', for the others the crop at
    `place` of the picture, scaled down where it is much larger (`scaled_side`): what
    `apply_affine` makes of the identity, but of operations that compile under XLA and
    travel with an exported model.

    Raises:
        ConfigError: the pictures are not square, or smaller than a crop's side.
    """
    scaled = scaled_side(stored_side_of(images), side, config.evaluation_geometry)
    top, left = (crop_offset(scaled, side, share) for share in place)
    rows, columns = slice(top, top + side), slice(left, left + side)
    layers = [
        tf.cast(_scaled(layer, scaled)[:, rows, columns], tf.float32)
        for layer in split_planes(images)
    ]
    neutral = neutral_draw(tf.shape(images)[0])
    return apply_color(layers, *color_matrix(config, neutral, is_yuv420(images)))


def _scaled(layer: tf.Tensor, side: int) -> tf.Tensor:
    """The layer at that side: float32, or uint8 as it is, which is faster to crop."""
    if layer.shape[2] == side:
        return layer
    layer = average_blocks(layer, side)
    return tf.image.resize(tf.cast(layer, tf.float32), [side, side])


def mixup_cutmix(
    images: tf.Tensor,
    one_hot: tf.Tensor,
    config: AugmentConfig,
    seed: tf.Tensor,
    first_row: int | tf.Tensor,
    total_rows: int | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix an augmented batch and its labels, float32 [batch, classes], with partners.

    The draws are the global batch's; the partners are the replica's own.
    """
    if config.mixup == 0 and config.cutmix == 0:
        return images, one_hot
    with tf.device(HOST):
        draw = draw_mix(config, fold_seed(seed, 3), total_rows, images.shape[1])
        draw = _rows(draw, first_row, tf.shape(images)[0])
    return compiled(apply_mix)(images, one_hot, draw)


def _rows(draws: _Draws, first: int | tf.Tensor, count: tf.Tensor) -> _Draws:
    """Return the draws of `count` rows from `first` on."""
    end = first + count
    rows: _Draws = tf.nest.map_structure(lambda values: values[first:end], draws)
    return rows
