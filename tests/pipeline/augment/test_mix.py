"""Erasing, mixup and cutmix against counted pixels and NumPy's Beta."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.augment.mix import (
    Box,
    MixDraw,
    apply_erasing,
    apply_mix,
    draw_erasing,
    draw_mix,
)
from alexnet.pipeline.config import AugmentConfig

SEED = (3, 4)
SIDE = 32


def box(*edges: tuple[float, ...]) -> Box:
    return Box(*(tf.constant(edge) for edge in edges))


def solid(count: int) -> tf.Tensor:
    """Images filled with their own number from 1, and as many one-hot labels."""
    values = tf.range(1, count + 1, dtype=tf.float32)
    return tf.tile(values[:, None, None, None], [1, SIDE, SIDE, 3])


def test_erasing_blanks_the_box() -> None:
    boxes = box((2.0, 0.0), (4.0, 0.0), (10.0, 0.0), (32.0, 0.0))
    erased = apply_erasing(solid(2), boxes)
    oracle = solid(2).numpy()
    oracle[0, 2:10, 4:32] = 0
    np.testing.assert_array_equal(erased, oracle)


def test_erasing_draws() -> None:
    drawn = draw_erasing(AugmentConfig(erasing=0.25), SEED, 4000, 224)
    top, left, bottom, right = np.stack(drawn)
    height, width = bottom - top, right - left
    erased = height > 0
    assert 0.22 < erased.mean() < 0.28
    np.testing.assert_array_equal(erased, width > 0)
    assert min(top.min(), left.min()) == 0 and max(bottom.max(), right.max()) == 224
    np.testing.assert_array_equal(np.stack(drawn), np.round(np.stack(drawn)))
    area = (height * width / 224**2)[erased]
    # Zhang's share of the area and ratio, and up to a pixel a side.
    assert 0.017 < area.min() < 0.03 and 0.30 < area.max() < 0.34
    ratio = width[erased] / height[erased]
    assert 0.28 < ratio.min() < 0.35 and 2.9 < ratio.max() < 3.6


def test_no_erasing_draws_empty_boxes() -> None:
    drawn = draw_erasing(AugmentConfig(), SEED, 100, SIDE)
    np.testing.assert_array_equal(drawn.top, drawn.bottom)
    np.testing.assert_array_equal(drawn.left, drawn.right)


def test_mixup_is_the_weighted_sum() -> None:
    empty = box(*[(0.0, 0.0, 0.0)] * 4)
    weight = tf.constant([0.25, 1.0, 0.5])
    images, labels = apply_mix(solid(3), tf.eye(3), MixDraw(weight, empty))
    np.testing.assert_allclose(images[:, 0, 0, 0], [0.25 + 2.25, 2, 1 + 1.5])
    np.testing.assert_allclose(labels, [[0.25, 0, 0.75], [0.0, 1, 0], [0, 0.5, 0.5]])


def test_cutmix_pastes_the_partner() -> None:
    boxes = box((8.0, 0.0), (0.0, 0.0), (16.0, 0.0), (32.0, 0.0))
    images, labels = apply_mix(solid(2), tf.eye(2), MixDraw(tf.ones(2), boxes))
    oracle = solid(2).numpy()
    oracle[0, 8:16] = 2
    np.testing.assert_array_equal(images, oracle)
    np.testing.assert_allclose(labels, [[0.75, 0.25], [0.0, 1]])


@pytest.mark.parametrize(
    "config",
    [
        AugmentConfig(mixup=0.2),
        AugmentConfig(cutmix=1),
        AugmentConfig(mixup=1, cutmix=1),
    ],
)
def test_labels_keep_the_shares_of_the_pixels(config: AugmentConfig) -> None:
    """Images of one value each, whose label is read back from their pixels."""
    draw = draw_mix(config, SEED, 60, SIDE)
    own = tf.tile(tf.reshape(tf.eye(60, 60), [60, 1, 1, 60]), [1, SIDE, SIDE, 1])
    images, labels = apply_mix(own, tf.eye(60), draw)
    np.testing.assert_allclose(labels, tf.reduce_mean(images, [1, 2]), atol=1e-4)
    np.testing.assert_allclose(tf.reduce_sum(labels, 1), np.ones(60), atol=1e-6)
    assert len(np.unique(np.diag(labels))) > 30


@pytest.mark.parametrize("alpha", [0.02, 0.2, 1.0, 4.0])
def test_mixup_draws_the_larger_part_of_a_beta(alpha: float) -> None:
    weight = draw_mix(AugmentConfig(mixup=alpha), SEED, 20_000, SIDE).weight.numpy()
    oracle = np.random.default_rng(0).beta(alpha, alpha, 20_000)
    oracle = np.maximum(oracle, 1 - oracle)
    shares = np.arange(0.5, 1, 0.05)
    np.testing.assert_allclose(
        np.searchsorted(np.sort(weight), shares) / 20_000,
        np.searchsorted(np.sort(oracle), shares) / 20_000,
        atol=0.02,
    )


def test_cutmix_draws_boxes_of_the_drawn_area() -> None:
    """Beta(1, 1) is even in [0, 1]; a box that is not cut off has that very area."""
    draw = draw_mix(AugmentConfig(cutmix=1.0), SEED, 8000, 224)
    np.testing.assert_array_equal(draw.weight, np.ones(8000))
    top, left, bottom, right = np.stack(draw.box)
    whole = (top > 0) & (left > 0) & (bottom < 224) & (right < 224)
    np.testing.assert_allclose((bottom - top)[whole], (right - left)[whole], atol=1)
    assert min(top.min(), left.min()) == 0 and max(bottom.max(), right.max()) == 224
    # The mean of the clipped box's area: each side is min(c + h, 1) - max(c - h, 0).
    rng = np.random.default_rng(0)
    half, centre = np.sqrt(rng.random(100_000)) / 2, rng.random((2, 100_000))
    sides = np.minimum(centre + half, 1) - np.maximum(centre - half, 0)
    area = (bottom - top) * (right - left) / 224**2
    np.testing.assert_allclose(area.mean(), sides.prod(axis=0).mean(), atol=0.01)


def test_each_image_is_mixed_by_one_of_the_two() -> None:
    draw = draw_mix(AugmentConfig(mixup=1.0, cutmix=1.0), SEED, 4000, 224)
    boxed = (draw.box.bottom > draw.box.top).numpy()
    assert 0.45 < boxed.mean() < 0.55
    assert (draw.weight.numpy()[boxed] == 1).all()
    # The choice says nothing about the weight.
    assert abs(draw.weight.numpy()[~boxed].mean() - 0.75) < 0.02


def test_same_seed_same_draw() -> None:
    config = AugmentConfig(mixup=0.2, cutmix=1.0, erasing=1.0)
    for function in (draw_mix, draw_erasing):
        one, same, other = (
            tf.nest.flatten(function(config, seed, 20, SIDE))
            for seed in (SEED, SEED, (3, 5))
        )
        np.testing.assert_array_equal(np.stack(one), np.stack(same))
        assert not np.array_equal(np.stack(one), np.stack(other))
