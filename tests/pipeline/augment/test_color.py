"""Colours against Pillow's enhancers, NumPy and the lighting's own covariance."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from alexnet.pipeline.augment.color import (
    LIGHTING_VALUES,
    LIGHTING_VECTORS,
    ColorDraw,
    apply_color,
    color_matrix,
    draw_color,
    neutral_draw,
)
from alexnet.pipeline.augment.presets import IMAGENET_MEAN, IMAGENET_STD
from alexnet.pipeline.config import AugmentConfig

SEED = (3, 4)
# Pixels as they are, so that only the drawn change shows.
PLAIN = AugmentConfig(std=(1, 1, 1), mean=(0, 0, 0))
ALL = AugmentConfig(brightness=0.3, contrast=0.2, saturation=0.4, lighting=0.1)


def pictures() -> np.ndarray:
    """Far enough from 0 and 255 that Pillow clips nothing; the mean grey is 127.5."""
    half = np.random.default_rng(0).integers(90, 166, (2, 8, 16, 3), dtype=np.uint8)
    return np.concatenate([half, 255 - half], axis=1)


def changed(config: AugmentConfig, draw: ColorDraw) -> np.ndarray:
    images = tf.cast(pictures(), tf.float32)
    return apply_color([images], *color_matrix(config, draw)).numpy()


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_each_factor_is_pillows(name: str, enhancer: type, factor: float) -> None:
    draw = neutral_draw(2)._replace(**{name: tf.constant([1.0, factor])})
    ours = changed(PLAIN, draw)
    np.testing.assert_allclose(ours[0], pictures()[0], atol=1e-3)
    theirs = enhancer(Image.fromarray(pictures()[1])).enhance(factor)
    # Pillow rounds the grey it turns about, and truncates the result.
    np.testing.assert_allclose(ours[1], np.asarray(theirs), atol=1.5)
    assert np.abs(ours[1] - pictures()[1]).mean() > 3


def test_all_at_once_is_one_after_the_other() -> None:
    factors = [tf.constant([v, 1 / v]) for v in (1.2, 0.7, 1.4)]
    draw = ColorDraw._make([*factors, tf.eye(3)[:2]])
    x = pictures().astype(np.float64)
    factors = [np.asarray(v, np.float64)[:, None, None, None] for v in draw[:3]]
    brightness, contrast, saturation = factors
    x = brightness * x
    x = contrast * x + (1 - contrast) * 127.5
    x = saturation * x + (1 - saturation) * (x @ [0.299, 0.587, 0.114])[..., None]
    light = np.array(LIGHTING_VECTORS)[:, :2] * LIGHTING_VALUES[:2]
    x = x + light.T[:, None, None, :]
    config = AugmentConfig(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    oracle = (x - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(changed(config, draw), oracle, atol=1e-4)


def test_neutral_is_normalisation_alone() -> None:
    config = AugmentConfig(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    matrix, bias = color_matrix(config, neutral_draw(2))
    off_diagonal = matrix * (1 - tf.eye(3))
    np.testing.assert_array_equal(off_diagonal, np.zeros((2, 3, 3)))
    oracle = (pictures().astype(np.float64) - IMAGENET_MEAN) / IMAGENET_STD
    images = tf.cast(pictures(), tf.float32)
    np.testing.assert_allclose(apply_color([images], matrix, bias), oracle, atol=1e-6)


def ycbcr_layers() -> list[tf.Tensor]:
    """Luma and chroma of `pictures` as Pillow has them."""
    bands = [Image.fromarray(picture).convert("YCbCr") for picture in pictures()]
    layers = np.stack([np.asarray(band, np.float32) for band in bands])
    return [layers[..., :1], layers[..., 1:]]


def rgb_of(layers: list[tf.Tensor]) -> np.ndarray:
    """ITU-T T.871, section 7."""
    luma, cb, cr = np.moveaxis(np.concatenate(layers, axis=-1).astype(float), -1, 0)
    red = luma + 1.402 * (cr - 128)
    green = luma - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    return np.stack([red, green, luma + 1.772 * (cb - 128)], axis=-1)


def test_ycbcr_is_pillows() -> None:
    layers = ycbcr_layers()
    matrix, bias = color_matrix(PLAIN, neutral_draw(2), ycbcr=True)
    ours = apply_color(layers, matrix, bias).numpy()
    np.testing.assert_allclose(ours, rgb_of(layers), atol=1e-3)
    for view, *bands in zip(ours, *layers, strict=True):
        stored = np.concatenate(bands, axis=-1).astype(np.uint8)
        rgb = Image.frombytes("YCbCr", (16, 16), stored.tobytes()).convert("RGB")
        cut_off = view - np.asarray(rgb)  # Pillow drops the fractions
        assert cut_off.min() > -0.1 and cut_off.max() < 1.1


def test_ycbcr_takes_every_change_of_colour() -> None:
    layers, draw = ycbcr_layers(), draw_color(ALL, SEED, 2)
    config = AugmentConfig(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    ours = apply_color(layers, *color_matrix(config, draw, ycbcr=True))
    rgb = tf.constant(rgb_of(layers), tf.float32)
    oracle = apply_color([rgb], *color_matrix(config, draw))
    np.testing.assert_allclose(ours, oracle, atol=1e-5)


def test_lighting_has_the_covariance_of_imagenet() -> None:
    """V diag(values * stddev)^2 V^T, from 50 000 draws."""
    config = AugmentConfig(lighting=0.1, std=(1.0, 1.0, 1.0))
    _, bias = color_matrix(config, draw_color(config, SEED, 50_000))
    spread = np.array(LIGHTING_VECTORS) * (0.1 * np.array(LIGHTING_VALUES))
    assert np.abs(bias.numpy().mean(axis=0)).max() < 0.1
    np.testing.assert_allclose(np.cov(bias.numpy().T), spread @ spread.T, rtol=0.03)


def test_lighting_vectors_are_orthonormal() -> None:
    vectors = np.array(LIGHTING_VECTORS)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-3)


def test_draws_fill_their_ranges_and_are_independent() -> None:
    draw = draw_color(ALL, SEED, 4000)
    ranges = zip(draw[:3], (0.3, 0.2, 0.4), strict=True)
    for values, most in ranges:
        assert 1 - most <= values.numpy().min() < 1 - 0.98 * most
        assert 1 + 0.98 * most < values.numpy().max() <= 1 + most
    rows = np.concatenate([np.stack(draw[:3]), draw.lighting.numpy().T])
    assert np.abs(np.corrcoef(rows) - np.eye(6)).max() < 0.08
    assert np.abs(np.corrcoef(np.abs(rows - rows.mean())) - np.eye(6)).max() < 0.08


def test_same_seed_same_draw() -> None:
    one, same, other = (draw_color(ALL, seed, 8) for seed in (SEED, SEED, (3, 5)))
    for values, equal, unequal in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(values, equal)
        assert not np.array_equal(values, unequal)


def test_nothing_configured_draws_the_neutral() -> None:
    for drawn, neutral in zip(draw_color(PLAIN, SEED, 5), neutral_draw(5), strict=True):
        np.testing.assert_array_equal(drawn, neutral)
