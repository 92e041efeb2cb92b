"""TrivialAugment against Pillow's transforms and enhancers, and NumPy's sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from alexnet.pipeline.augment.affine import apply_affine, draw_affine
from alexnet.pipeline.augment.augment import augment_batch, fold_seed
from alexnet.pipeline.augment.presets import PRESETS
from alexnet.pipeline.augment.trivial import (
    CHANGES,
    NEVER,
    TrivialDraw,
    apply_levels,
    draw_trivial,
)
from alexnet.pipeline.config import AugmentConfig
from tests.pipeline.augment.draws import identity_draw

SEED, SIDE = (3, 4), 40
NOTHING, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
# Whole pictures as they are, so that only the drawn change shows.
PLAIN = AugmentConfig(geometry="whole", trivial=True, mean=NOTHING, std=ONE)


def photo() -> np.ndarray:
    """Levels 40 to 215 in waves, other ones in each channel."""
    at = np.arange(SIDE) / SIDE
    waves = 0.5 + 0.5 * np.sin(7 * at[:, None] + 4 * at[None] ** 2)
    levels = np.stack(
        [40 + 160 * waves, 60 + 150 * waves.T, 75 + 140 * waves[::-1]], -1
    )
    return levels.astype(np.uint8)


def neutral(batch: int) -> TrivialDraw:
    zeros, ones = tf.zeros([batch]), tf.ones([batch])
    warp = tf.repeat(tf.eye(2, 3)[None], batch, axis=0)
    return TrivialDraw(warp, ones, ones, ones, zeros, NEVER * ones, zeros)


def magnitudes(draw: TrivialDraw) -> dict[str, np.ndarray]:
    """How far each change was drawn, float [batch]; 0 where it was not."""
    a, b, move_x, c, _, move_y = np.reshape(draw.warp, [-1, 6]).T
    turns = (b == -c) & (b != 0)
    return {
        "shear_x": np.where(turns, 0, b),
        "shear_y": np.where(turns, 0, c),
        "translate_x": move_x,
        "translate_y": move_y,
        "rotate": np.where(turns, np.arctan2(c, a), 0),
        "brightness": draw.brightness.numpy() - 1,
        "contrast": draw.contrast.numpy() - 1,
        "color": draw.saturation.numpy() - 1,
        "posterize": draw.dropped_bits.numpy(),
        "solarize": NEVER - draw.inverted_from.numpy(),
        "autocontrast": draw.stretched.numpy(),
    }


def test_an_image_takes_one_change_and_each_is_as_likely() -> None:
    count = 24_000
    drawn = {k: v != 0 for k, v in magnitudes(draw_trivial(SEED, count)).items()}
    assert [*drawn] == list(CHANGES[1:])
    taken = np.sum(list(drawn.values()), axis=0)
    assert taken.max() == 1
    shares = {k: v.mean() * len(CHANGES) for k, v in drawn.items()}
    # Of seven numbers of bits the first, at half the share of others, is none.
    assert shares.pop("posterize") == pytest.approx(11 / 12, abs=0.1)
    assert list(shares.values()) == pytest.approx([1] * len(shares), abs=0.1)


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [
        # torchvision's TrivialAugmentWide, translations as shares of 224 px.
        *(("shear_x", -0.99, 0.99), ("shear_y", -0.99, 0.99)),
        *(("translate_x", -32 / 224, 32 / 224), ("translate_y", -32 / 224, 32 / 224)),
        ("rotate", -math.radians(135), math.radians(135)),
        *(("brightness", -0.99, 0.99), ("contrast", -0.99, 0.99)),
        *(("color", -0.99, 0.99), ("posterize", 1, 6), ("solarize", 1, 256)),
    ],
)
def test_strengths_fill_their_range(change: str, low: float, high: float) -> None:
    values = magnitudes(draw_trivial(SEED, 24_000))[change]
    drawn, room = values[values != 0], 0.01 * (high - low)
    assert low - 1e-6 <= drawn.min() < low + room
    assert high - room < drawn.max() <= high + 1e-6


def test_same_seed_same_draw() -> None:
    one, same, other = (draw_trivial(seed, 64) for seed in (SEED, SEED, (3, 5)))
    for values, equal, unequal in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(values, equal)
        assert not np.array_equal(values, unequal)


def as_pillow(warp: np.ndarray) -> np.ndarray:
    """The photo warped by Pillow, whose pixels are squares from (0, 0) on."""
    linear, move = warp[:, :2], warp[:, 2] * SIDE
    start = SIDE / 2 + move - linear @ [SIDE / 2, SIDE / 2]
    data = np.concatenate([linear, start[:, None]], axis=1).ravel()
    picture = Image.fromarray(photo())
    method = (Image.Transform.AFFINE, tuple(data), Image.Resampling.BILINEAR)
    return np.asarray(picture.transform((SIDE, SIDE), *method), np.float32)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0.6, 0], [0, 1, 0]],
        [[1, 0, 0], [-0.8, 1, 0]],
        [[1, 0, 0.125], [0, 1, 0]],
        [[1, 0, 0], [0, 1, -0.14]],
        [[math.cos(2), -math.sin(2), 0], [math.sin(2), math.cos(2), 0]],
    ],
)
def test_a_warp_is_pillows(rows: list[list[float]]) -> None:
    """Beyond the edge, where Pillow is black, the nearest pixel repeats."""
    warp = tf.constant([rows], tf.float32)
    (ours,) = apply_affine(photo()[None], identity_draw(1), SIDE, "whole", warp=warp)
    theirs = as_pillow(np.array(rows))
    inside = np.asarray(theirs.min(axis=-1) > 0)
    assert 0.5 < inside.mean() < 1
    # Pillow drops the fractions.
    np.testing.assert_allclose(ours[0][inside], theirs[inside], atol=1.01)


def test_a_warp_comes_after_the_crop_and_the_flip() -> None:
    """Turned by a half, a view is reversed, whatever was cropped and mirrored."""
    crops = replace(PRESETS["trivial"], geometry="crop", flip_horizontal=True)
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    draw = draw_affine(crops, SEED, 8, 32, 27)
    half_turn = tf.repeat(tf.constant([[[-1.0, 0, 0], [0, -1, 0]]]), 8, axis=0)
    (cut,) = apply_affine(pictures, draw, 27, "crop")
    (turned,) = apply_affine(pictures, draw, 27, "crop", warp=half_turn)
    np.testing.assert_allclose(turned, cut[:, ::-1, ::-1], atol=1e-3)


def levels(**values: float) -> np.ndarray:
    """The photo and a grey square, changed alike."""
    grey = np.full_like(photo(), 77)
    pictures = tf.cast(np.stack([photo(), grey]), tf.float32)
    changed = {name: tf.constant([value, value]) for name, value in values.items()}
    return apply_levels(pictures, neutral(2)._replace(**changed), NOTHING, ONE).numpy()


@pytest.mark.parametrize(
    ("values", "pillow"),
    [
        ({}, lambda picture: picture),
        *(
            (
                {"dropped_bits": 8.0 - bits},
                lambda x, bits=bits: ImageOps.posterize(x, bits),
            )
            for bits in (2, 5, 8)
        ),
        ({"inverted_from": 128.0}, lambda picture: ImageOps.solarize(picture, 128)),
        ({"inverted_from": 0.0}, ImageOps.invert),
        ({"stretched": 1.0}, ImageOps.autocontrast),
    ],
)
def test_levels_are_pillows(
    values: dict[str, float], pillow: Callable[[Image.Image], Image.Image]
) -> None:
    ours = levels(**values)
    for view, picture in zip(ours, (photo(), np.full_like(photo(), 77)), strict=True):
        theirs = np.asarray(pillow(Image.fromarray(picture)), np.float32)
        # Pillow drops the fractions of what it stretches.
        np.testing.assert_allclose(view, theirs, atol=1 if "stretched" in values else 0)


def test_levels_between_whole_ones_are_rounded_before_bits_are_cleared() -> None:
    pixels = tf.constant([15.4, 15.6, 16.0, 254.9])[None, None, :, None]
    draw = neutral(1)._replace(dropped_bits=tf.constant([4.0]))
    ours = apply_levels(tf.repeat(pixels, 3, axis=-1), draw, NOTHING, ONE)
    np.testing.assert_array_equal(ours[0, 0, :, 0], [0, 16, 16, 240])


@pytest.mark.parametrize(
    ("change", "enhancer"),
    [("brightness", ImageEnhance.Brightness), ("color", ImageEnhance.Color)],
)
def test_factors_are_pillows_cut_off_at_both_ends(change: str, enhancer: type) -> None:
    seed, count = fold_seed(5, 9), 96
    drawn = magnitudes(draw_trivial(fold_seed(seed, 4), count))[change]
    views = augment_batch(
        np.repeat(photo()[None], count, axis=0), PLAIN, SIDE, seed, 0, count
    ).numpy()
    assert np.count_nonzero(drawn) > 3 and drawn.max() > 0.5
    for row in np.flatnonzero(drawn):
        theirs = enhancer(Image.fromarray(photo())).enhance(1 + drawn[row])
        np.testing.assert_allclose(views[row], np.asarray(theirs), atol=1.5)


def test_the_rest_of_a_batch_stays_as_it_is() -> None:
    """Images whose change is `identity`, normalised to the last bit of the pixels."""
    seed, count = fold_seed(5, 9), 96
    drawn = magnitudes(draw_trivial(fold_seed(seed, 4), count))
    rows = np.flatnonzero(np.sum([v != 0 for v in drawn.values()], axis=0) == 0)
    views = augment_batch(
        np.repeat(photo()[None], count, axis=0), PLAIN, SIDE, seed, 0, count
    ).numpy()
    assert len(rows) > 3
    for row in rows:
        np.testing.assert_allclose(views[row], photo(), atol=1e-4)
