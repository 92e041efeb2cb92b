"""Geometry against Keras 2's affine transform, SciPy's sampling and plain slices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from alexnet.pipeline.augment.affine import (
    AffineDraw,
    affine_transforms,
    apply_affine,
    draw_affine,
    scaled_side,
)
from alexnet.pipeline.augment.presets import PRESETS
from alexnet.pipeline.augment.resample import average_blocks, project, resample
from alexnet.pipeline.augment.yuv import split_planes
from alexnet.pipeline.config import AugmentConfig, Geometry
from alexnet.pipeline.errors import ConfigError
from tests.pipeline.augment.draws import identity_draw

# Keras names its SciPy functions by an old address.
pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage:DeprecationWarning")

SEED = (3, 4)
RESIZED = AugmentConfig(geometry="resized", scale=(0.1, 1.0), ratio=(0.5, 2.0))


def noise(side: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(
        0, 256, (count, side, side, 3), dtype=np.uint8
    )


def smooth(side: int, count: int = 1) -> np.ndarray:
    at = np.arange(side) / side
    waves = 127.5 + 127 * np.sin(7 * at[:, None] + 4 * at[None] ** 2)
    picture = np.stack([waves, waves.T, waves[::-1]], axis=-1).astype(np.uint8)
    return np.repeat(picture[None], count, axis=0)


def warped(
    pictures: np.ndarray, draw: AffineDraw, side: int, geometry: Geometry
) -> tf.Tensor:
    """The one layer of RGB pictures."""
    (layer,) = apply_affine(pictures, draw, side, geometry)
    return layer


def drawn(**values: float) -> AffineDraw:
    return identity_draw(1)._replace(**{k: tf.constant([v]) for k, v in values.items()})


def keras(picture: np.ndarray, draw: AffineDraw, row: int) -> np.ndarray:
    """What ImageDataGenerator.apply_transform makes of one picture."""
    one = AffineDraw(*(float(values[row]) for values in draw))
    side = picture.shape[0]
    out = tf.keras.preprocessing.image.apply_affine_transform(
        picture.astype(np.float32),
        theta=one.rotation_degrees,
        tx=one.shift_x * side,
        ty=one.shift_y * side,
        shear=one.shear_degrees,
        zx=one.zoom_x,
        zy=one.zoom_y,
        row_axis=0,
        col_axis=1,
        channel_axis=2,
    )
    out = out[:, ::-1] if one.flip_horizontal else out
    return out[::-1] if one.flip_vertical else out


@pytest.mark.parametrize("pictures", [smooth(48, 16), noise(48, 16)])
@pytest.mark.parametrize("shear_degrees", [0.2, 25.0])
def test_article_is_keras(pictures: np.ndarray, shear_degrees: float) -> None:
    """All parameters at once. What remains is float32 coordinates, so no border is
    left out: SciPy's 'nearest' and TensorFlow's clamp at the same pixel.
    """
    article = PRESETS["article"].to_json() | {"shear_degrees": shear_degrees}
    draw = draw_affine(AugmentConfig.from_json(article), SEED, 16, 48, 48)
    ours = warped(pictures, draw, 48, "whole").numpy()
    theirs = np.stack([keras(p, draw, i) for i, p in enumerate(pictures)])
    np.testing.assert_allclose(ours, theirs, atol=0.02)


@pytest.mark.parametrize(
    "values",
    [
        {"rotation_degrees": 20.0},
        {"shift_x": 0.2},
        {"shift_y": -0.15},
        {"shear_degrees": 30.0},
        {"zoom_x": 0.7},
        {"zoom_y": 1.6},
        {"flip_horizontal": 1.0},
        {"flip_vertical": 1.0},
    ],
)
def test_each_parameter_is_keras(values: dict[str, float]) -> None:
    draw, pictures = drawn(**values), noise(31)
    ours = warped(pictures, draw, 31, "whole").numpy()
    np.testing.assert_allclose(ours[0], keras(pictures[0], draw, 0), atol=0.02)
    assert np.abs(ours - pictures).mean() > 10


def test_shift_x_above_0_looks_to_the_right() -> None:
    pictures = noise(32)
    ours = warped(pictures, drawn(shift_x=0.25), 32, "whole").numpy()
    np.testing.assert_array_equal(ours[:, :, :24], pictures[:, :, 8:])
    np.testing.assert_array_equal(ours[:, :, 24:], pictures[:, :, [31] * 8])


@pytest.mark.parametrize(("stored", "side"), [(64, 57), (64, 56), (50, 43), (32, 32)])
def test_identity_is_the_centre_crop(stored: int, side: int) -> None:
    pictures, start = noise(stored, 2), (stored - side) // 2
    ours = warped(pictures, identity_draw(2), side, "crop")
    window = slice(start, start + side)
    assert ours.dtype == tf.float32
    np.testing.assert_array_equal(ours, pictures[:, window, window])


@pytest.mark.parametrize("side", [227, 32])
def test_half_and_quarter_turns_are_exact(side: int) -> None:
    pictures = noise(side)
    half = warped(pictures, drawn(rotation_degrees=180.0), side, "whole")
    np.testing.assert_array_equal(half, pictures[:, ::-1, ::-1])
    flips = drawn(flip_horizontal=1.0, flip_vertical=1.0)
    np.testing.assert_array_equal(warped(pictures, flips, side, "crop"), half)
    quarter = warped(pictures, drawn(rotation_degrees=90.0), side, "whole")
    np.testing.assert_array_equal(quarter, np.rot90(pictures, axes=(1, 2)))


@pytest.mark.parametrize("pictures", [smooth(256), noise(256)])
def test_whole_scales_all_of_the_picture(pictures: np.ndarray) -> None:
    at = (np.arange(227) + 0.5) * 256 / 227 - 0.5
    rows, columns = np.meshgrid(at, at, indexing="ij")
    oracle = np.stack(
        [
            ndimage.map_coordinates(
                pictures[0, :, :, c].astype(float), [rows, columns], order=1
            )
            for c in range(3)
        ],
        axis=-1,
    )
    ours = warped(pictures, identity_draw(1), 227, "whole").numpy()
    np.testing.assert_allclose(ours[0], oracle, atol=0.02)


def test_a_random_crop_is_a_slice() -> None:
    pictures = np.repeat(noise(32), 40, axis=0)
    draw = draw_affine(AugmentConfig(), SEED, 40, 32, 29)
    crops = warped(pictures, draw, 29, "crop").numpy()
    slices = {
        (top, left): pictures[0, top : top + 29, left : left + 29]
        for top in range(4)
        for left in range(4)
    }
    found = [k for c in crops for k, v in slices.items() if np.array_equal(c, v)]
    assert len(found) == 40
    assert {top for top, _ in found} == {left for _, left in found} == {0, 1, 2, 3}


@pytest.mark.parametrize(("stored", "side"), [(64, 57), (50, 43), (256, 227)])
def test_picked_pixels_are_the_stored_ones(stored: int, side: int) -> None:
    """Crops and flips of RGB pixels and of luma; chroma is sampled as ever."""
    config = replace(PRESETS["paper"], flip_vertical=True)
    assert config.needs_no_resampling
    draw = draw_affine(config, SEED, 9, stored, side)
    pictures = noise(stored, 9)
    (picked,) = apply_affine(pictures, draw, side, "crop", needs_no_resampling=True)
    middle = (stored - side) // 2
    rows = zip(*(values.numpy() for values in draw), strict=True)
    for picture, view, row in zip(pictures, picked.numpy(), rows, strict=True):
        one = AffineDraw(*row)
        left = middle + round(one.shift_x * stored)
        top = middle + round(one.shift_y * stored)
        window = picture[top : top + side, left : left + side]
        across, down = 1 - 2 * int(one.flip_horizontal), 1 - 2 * int(one.flip_vertical)
        np.testing.assert_array_equal(view, window[::down, ::across])
    planes = noise(3 * stored // 2, 9)[:, :, :stored, 0]
    for ours, sampled in zip(
        apply_affine(planes, draw, side, "crop", needs_no_resampling=True),
        apply_affine(planes, draw, side, "crop"),
        strict=True,
    ):
        np.testing.assert_allclose(ours, sampled, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "axis_aligned"),
    [
        ({"geometry": "whole"}, True),
        ({"geometry": "resized"}, True),
        ({"rotation_degrees": 1.0}, False),
        ({"shift_x": 0.1}, True),
        ({"shift_y": 0.1}, True),
        ({"shear_degrees": 1.0}, False),
        ({"zoom": (1.0, 1.1)}, True),
    ],
)
def test_what_interpolates_is_sampled(
    change: dict[str, Any], axis_aligned: bool
) -> None:
    config = replace(PRESETS["paper"], **change)
    assert (config.axis_aligned, config.needs_no_resampling) == (axis_aligned, False)
    assert replace(PRESETS["paper"], geometry="centre").needs_no_resampling


@pytest.mark.parametrize("kind", ["rgb", "yuv420"])
@pytest.mark.parametrize("name", ["article", "paper", "modern"])
def test_gathers_sample_what_the_kernel_samples(name: str, kind: str) -> None:
    """Within a hundredth of a level: 256 px of noise, of which 227 px are made."""
    config, pictures = PRESETS[name], noise(256, 4)
    if kind == "yuv420":
        pictures = np.concatenate([pictures[..., 0], pictures[:, :128, :, 1]], axis=1)
    draw = draw_affine(config, SEED, 4, 256, 227)
    transforms = affine_transforms(draw, 256, 227, config.geometry)
    layers = resample(pictures, transforms, 227, 256, axis_aligned=config.axis_aligned)
    for layer, stored in zip(layers, split_planes(pictures), strict=True):
        scale = stored.shape[2] / 256
        move = [0, 0, (scale - 1) / 2] * 2 + [0, 0]
        kernels = project(stored, transforms * scale + tf.constant(move), 227)
        np.testing.assert_allclose(layer, kernels, atol=0.05)


def test_addons_are_tensorflows_own_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, so that results do not depend on what is installed."""
    pytest.importorskip("tensorflow_addons")
    draw = draw_affine(PRESETS["article"], SEED, 4, 64, 57)
    transforms, pictures = affine_transforms(draw, 64, 57, "whole"), noise(64, 4)
    addons = project(pictures, transforms, 57)
    monkeypatch.setattr("alexnet.pipeline.augment.resample.addons_transform", None)
    np.testing.assert_array_equal(addons, project(pictures, transforms, 57))


def test_a_resized_crop_scales_its_window() -> None:
    """A window of whole pixels against TensorFlow's own resize of that slice; the
    edges differ, where the slice ends and the picture goes on.
    """
    pictures = smooth(64)
    window = pictures[:, 8:40, 16:64]
    draw = drawn(zoom_x=48 / 64, zoom_y=32 / 64, shift_x=8 / 64, shift_y=-8 / 64)
    ours = warped(pictures, draw, 60, "resized").numpy()
    oracle = tf.image.resize(window, [60, 60]).numpy()
    np.testing.assert_allclose(ours[:, 2:-2, 2:-2], oracle[:, 2:-2, 2:-2], atol=0.02)


PLANES = [("article", 48), ("paper", 41), ("modern", 41)]


@pytest.mark.parametrize(("name", "side"), PLANES)
def test_planes_are_sampled_bilinearly(name: str, side: int) -> None:
    """SciPy at the places of the pixels, which for chroma lie at half the distance."""
    config, planes = PRESETS[name], noise(72, 8)[:, :, :48, 0]
    draw = draw_affine(config, SEED, 8, 48, side)
    layers = apply_affine(planes, draw, side, config.geometry)
    ours = np.concatenate(layers, axis=-1)
    assert ours.shape == (8, side, side, 3)
    y, x = np.mgrid[:side, :side]
    rows = affine_transforms(draw, 48, side, config.geometry).numpy().astype(float)
    for picture, view, (a, b, c, d, e, f, _, _) in zip(planes, ours, rows, strict=True):
        at = np.stack([d * x + e * y + f, a * x + b * y + c])
        chroma = picture[48:].reshape(2, 24, 24).astype(float)
        oracle = [
            ndimage.map_coordinates(plane, places, order=1, mode="nearest")
            for plane, places in (
                (picture[:48].astype(float), at),
                (chroma[0], (at + 0.5) / 2 - 0.5),
                (chroma[1], (at + 0.5) / 2 - 0.5),
            )
        ]
        np.testing.assert_allclose(view, np.stack(oracle, axis=-1), atol=0.02)


@pytest.mark.parametrize(("name", "side"), PLANES)
def test_chroma_lies_where_luma_does(name: str, side: int) -> None:
    """Cb tells x and Cr tells y, as the means of 2x2 pixels, and luma tells both."""
    config, at = PRESETS[name], np.arange(48)
    luma = 2 * (at + at[:, None])
    halves = np.broadcast_to(2 * (at[::2] + at[1::2]), (24, 24))
    flat = np.concatenate([plane.ravel() for plane in (luma, halves, halves.T)])
    planes = np.repeat(flat.reshape(1, 72, 48).astype(np.uint8), 8, axis=0)
    draw = draw_affine(config, SEED, 8, 48, side)
    light, place = apply_affine(planes, draw, side, config.geometry)
    # Outside the centres of the outermost pixels the nearest one repeats.
    inside = np.all((place > 2) & (place < 186), axis=-1)
    assert inside.mean() > 0.5
    sums = np.sum(place, axis=-1)[inside] / 2
    np.testing.assert_allclose(light[..., 0][inside], sums, atol=1e-2)


@pytest.mark.parametrize(
    ("stored", "side", "scaled"),
    [
        *((256, 227, 256), (256, 250, 256), (256, 224, 256), (72, 67, 72)),
        *((96, 83, 96), (32, 27, 32), (256, 96, 108), (512, 227, 256)),
        *((256, 67, 76), (250, 128, 144)),
    ],
)
def test_a_crop_covers_what_the_papers_does(
    stored: int, side: int, scaled: int
) -> None:
    """227 px of 256 px are 88.7 % of a side; all else by hand from that."""
    for geometry in ("crop", "centre"):
        assert scaled_side(stored, side, geometry) == scaled
    assert scaled_side(stored, side, "whole") == side
    assert side / scaled >= 0.842


@pytest.mark.parametrize(("stored", "side"), [(256, 96), (96, 67), (512, 227)])
def test_a_small_crop_is_one_of_the_scaled_picture(stored: int, side: int) -> None:
    """Each is a slice of what Pillow scales down, at a place that was drawn."""
    pictures, scaled = smooth(stored), round(side * 256 / 227)
    small = Image.fromarray(pictures[0]).resize(
        (scaled, scaled), Image.Resampling.BILINEAR
    )
    draw = draw_affine(AugmentConfig(), SEED, 30, stored, side)
    batch = np.repeat(pictures, 30, axis=0)
    crops = warped(batch, draw, side, "crop").numpy()
    start = (scaled - side) // 2
    places = set()
    for crop, x, y in zip(crops, draw.shift_x, draw.shift_y, strict=True):
        left, top = (start + round(float(shift) * scaled) for shift in (x, y))
        places.add((left, top))
        window = np.asarray(small, float)[top : top + side, left : left + side]
        assert psnr(crop[2:-2, 2:-2], window[2:-2, 2:-2]) > 38
    assert len(places) > 20
    room = scaled - side
    assert 0 <= np.min(list(places)) < room / 4 < 3 * room / 4 < np.max(list(places))
    assert np.max(list(places)) <= room


def psnr(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The peak signal-to-noise ratio in dB."""
    return float(10 * np.log10(255**2 / np.mean((ours - theirs) ** 2)))


def test_scaling_far_down_looks_at_every_pixel() -> None:
    """A chequerboard becomes grey, as by Pillow; of four pixels it may be anything."""
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    pictures = np.repeat(board[None, :, :, None], 3, axis=3).astype(np.uint8)
    theirs = np.asarray(
        Image.fromarray(pictures[0]).resize((108, 108), Image.Resampling.BILINEAR)
    )
    sizes: list[tuple[int, Geometry]] = [(96, "crop"), (108, "whole")]
    for side, geometry in sizes:
        ours = warped(pictures, identity_draw(1), side, geometry).numpy()
        np.testing.assert_allclose(ours, 127.5, atol=0.01)
    assert np.abs(theirs - 127.5).max() < 3
    np.testing.assert_array_equal(average_blocks(pictures, 129), pictures)
    odd = noise(255)  # nothing but 3 divides it, which is too much here
    np.testing.assert_array_equal(average_blocks(odd, 108), odd)


def test_resized_windows_keep_to_scale_ratio_and_picture() -> None:
    draw = draw_affine(RESIZED, SEED, 4000, 64, 56)
    width, height = draw.zoom_x.numpy(), draw.zoom_y.numpy()
    area, ratio = width * height, width / height
    assert 0.1 - 1e-6 <= area.min() < 0.12 and 0.98 < area.max() <= 1 + 1e-6
    assert 0.5 - 1e-6 <= ratio.min() < 0.55 and 1.8 < ratio.max() <= 2 + 1e-6
    for zoom, shift in ((width, draw.shift_x.numpy()), (height, draw.shift_y.numpy())):
        assert (np.abs(shift) + zoom / 2).max() <= 0.5 + 1e-6
        assert shift.min() < -0.2 and shift.max() > 0.2


def test_article_draws_fill_their_ranges() -> None:
    draw = draw_affine(PRESETS["article"], SEED, 4000, 64, 56)
    for values, low, high in (
        (draw.rotation_degrees, -30, 30),
        (draw.shift_x, -0.3, 0.3),
        (draw.shift_y, -0.3, 0.3),
        (draw.shear_degrees, -0.2, 0.2),
        (draw.zoom_x, 0.8, 1.5),
        (draw.zoom_y, 0.8, 1.5),
    ):
        margin = (high - low) / 100
        assert low <= values.numpy().min() < low + margin
        assert high - margin < values.numpy().max() <= high
    for flips in (draw.flip_horizontal, draw.flip_vertical):
        assert set(flips.numpy()) == {0.0, 1.0}
        assert 0.45 < flips.numpy().mean() < 0.55
    together = np.abs(np.corrcoef(np.stack(draw)) - np.eye(8))
    assert together.max() < 0.08


def test_same_seed_same_draw() -> None:
    one, same = (draw_affine(RESIZED, SEED, 8, 64, 56) for _ in range(2))
    other = draw_affine(RESIZED, (3, 5), 8, 64, 56)
    np.testing.assert_array_equal(np.stack(one), np.stack(same))
    assert not np.array_equal(one.shift_x, other.shift_x)
    assert len(set(one.shift_x.numpy())) == 8


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"is 57; it needs at most the stored 48"):
        apply_affine(noise(48), identity_draw(1), 57, "crop")
    with pytest.raises(ConfigError, match=r"is \(40, 48\); it needs one known side"):
        apply_affine(noise(48)[:, :40], identity_draw(1), 32, "crop")
