"""The whole view: against its parts, over replicas, eagerly and inside tf.data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet.pipeline.augment.affine import apply_affine
from alexnet.pipeline.augment.augment import (
    augment_batch,
    fold_seed,
    mixup_cutmix,
    preprocess_batch,
)
from alexnet.pipeline.augment.presets import PRESETS
from alexnet.pipeline.config import AugmentConfig, Geometry
from alexnet.pipeline.records.image import rgb_from_planes, yuv420_planes
from tests.conftest import slow, smooth_photo
from tests.pipeline.augment.draws import identity_draw

STORED, SIDE, ROWS = 32, 27, 8
EVERYTHING = replace(PRESETS["modern"], erasing=0.5, mixup=0.4, cutmix=1.0)
CONFIGS = [*PRESETS.values(), EVERYTHING]


@pytest.fixture
def images() -> np.ndarray:
    shape = (ROWS, STORED, STORED, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def planes_of(images: np.ndarray) -> np.ndarray:
    """uint8 [batch, 3 S / 2, S] of RGB [batch, S, S, 3]."""
    stored = [yuv420_planes(Image.fromarray(image)) for image in images]
    side = images.shape[2]
    return np.frombuffer(b"".join(stored), np.uint8).reshape(len(images), -1, side)


@pytest.fixture(params=["rgb", slow("yuv420")])
def batch(request: pytest.FixtureRequest, images: np.ndarray) -> np.ndarray:
    """The images as either kind of batch."""
    return images if request.param == "rgb" else planes_of(images)


@pytest.fixture
def smooth() -> np.ndarray:
    """Larger pictures of what planes keep: no edges, and no colours to be clipped."""
    photos = [smooth_photo(number, 2 * STORED, 2 * STORED) for number in range(ROWS)]
    return np.stack([64 + np.asarray(photo) // 2 for photo in photos])


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request: pytest.FixtureRequest) -> Iterator[None]:
    keras.mixed_precision.set_global_policy(request.param)
    yield
    keras.mixed_precision.set_global_policy("float32")


def both(
    images: tf.Tensor,
    labels: tf.Tensor,
    config: AugmentConfig,
    step: int | tf.Tensor,
    first_row: int | tf.Tensor = 0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """A training step's input, for the rows of one replica."""
    seed = fold_seed(21, step)
    view = augment_batch(images, config, SIDE, seed, first_row, ROWS)
    return mixup_cutmix(view, labels, config, seed, first_row, ROWS)


def test_fold_seed_is_a_function_of_its_numbers() -> None:
    seeds = [
        fold_seed(21),
        fold_seed(22),
        fold_seed(21, 0),
        fold_seed(21, 1),
        fold_seed(21, 0, 1),
        fold_seed(21, 1, 0),
        fold_seed(2**40 + 7, 2**33),
    ]
    assert all(seed.dtype == tf.int32 and seed.shape == [2] for seed in seeds)
    assert len({tuple(seed.numpy()) for seed in seeds}) == len(seeds)
    step = tf.constant(1, tf.int64)
    np.testing.assert_array_equal(fold_seed(tf.constant(21), step), fold_seed(21, 1))
    np.testing.assert_array_equal(
        fold_seed(fold_seed(21, 1), step), fold_seed(21, 1, 1)
    )
    np.testing.assert_array_equal(tf.function(fold_seed)(21, step), fold_seed(21, 1))


@pytest.mark.parametrize("config", CONFIGS)
def test_eval_is_the_identity_normalised(
    batch: np.ndarray, config: AugmentConfig
) -> None:
    geometry: Geometry = "whole" if config.geometry == "whole" else "crop"
    layers = apply_affine(batch, identity_draw(ROWS), SIDE, geometry)
    pixels = np.concatenate(layers, axis=-1)
    if len(layers) == 2:
        to_rgb = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]
        pixels = (pixels - [0, 128, 128]) @ np.transpose(to_rgb)
    oracle = (pixels - config.mean) / config.std
    view = preprocess_batch(batch, config, SIDE)
    assert view.dtype == tf.float32 and view.shape == [ROWS, SIDE, SIDE, 3]
    np.testing.assert_allclose(view, oracle, atol=1e-4)


def test_eval_is_the_centre_crop(images: np.ndarray) -> None:
    plain = AugmentConfig(std=(1.0, 1.0, 1.0))
    view = preprocess_batch(images, plain, SIDE)
    np.testing.assert_array_equal(view, images[:, 2:29, 2:29])


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("side", [11, 16, 20])
def test_eval_of_a_small_side_is_what_training_sees(
    batch: np.ndarray, config: AugmentConfig, side: int
) -> None:
    """Scaled and averaged alike, by two ways: resizing and the affine sampling."""
    geometry: Geometry = "whole" if config.geometry == "whole" else "centre"
    plain = replace(config, mean=(0, 0, 0), std=(1, 1, 1))
    layers = apply_affine(batch, identity_draw(ROWS), side, geometry)
    view = preprocess_batch(batch, plain, side)
    if len(layers) == 2:
        luma, chroma = (
            np.asarray(layer) - [0, 128][i] for i, layer in enumerate(layers)
        )
        layers = [luma + 1.402 * chroma[..., 1:]]  # red
        view = view[..., :1]
    np.testing.assert_allclose(view, layers[0], atol=1e-3)


def test_a_small_side_sees_as_much_of_the_picture() -> None:
    """A mark 16 px from the edge of 256 px is in view at 227 px, and so at 96 px."""
    picture = np.zeros((1, 256, 256, 3), np.uint8)
    picture[:, 16:32, 16:32] = 255
    plain = AugmentConfig(std=(1.0, 1.0, 1.0))
    for side in (227, 96):
        view = preprocess_batch(picture, plain, side).numpy()
        area = (view / 255).mean() * side**2
        scale = 108 / 256 if side == 96 else 1
        assert area == pytest.approx((16 * scale) ** 2, rel=0.02)


def test_planes_are_seen_as_pillow_decodes_them(smooth: np.ndarray) -> None:
    plain, planes, side = AugmentConfig(std=(1, 1, 1)), planes_of(smooth), 2 * STORED
    ours = preprocess_batch(planes, plain, side).numpy()
    pictures = [rgb_from_planes(rows.tobytes(), side) for rows in planes]
    theirs = np.stack([np.asarray(picture) for picture in pictures])
    # Pillow rounds chroma twice, ties up, and pixels once: 1.772 levels and a half.
    np.testing.assert_allclose(ours, theirs, atol=2.3)
    assert abs((ours - theirs).mean()) < 0.25


@pytest.mark.parametrize("config", CONFIGS)
def test_planes_are_augmented_as_their_pixels(
    smooth: np.ndarray, config: AugmentConfig
) -> None:
    """The same places and colours, by peak signal-to-noise ratio in dB."""
    views = [
        augment_batch(images, config, 2 * SIDE, fold_seed(1), 0, ROWS) * config.std
        for images in (smooth, planes_of(smooth))
    ]
    error = np.square(views[0] - views[1]).mean()
    assert 10 * np.log10(255**2 / error) > 50


@pytest.mark.parametrize("side", [SIDE, 11])
def test_eval_compiles_under_xla(batch: np.ndarray, side: int) -> None:
    for name in ("article", "none"):
        compiled = tf.function(preprocess_batch, jit_compile=True)
        eager = preprocess_batch(batch, PRESETS[name], side)
        ours = compiled(batch, PRESETS[name], side)
        np.testing.assert_allclose(ours, eager, atol=1e-4)


def test_none_trains_on_what_it_evaluates(images: np.ndarray) -> None:
    view = augment_batch(images, PRESETS["none"], SIDE, fold_seed(1), 0, ROWS)
    plain = preprocess_batch(images, PRESETS["none"], SIDE)
    np.testing.assert_allclose(view, plain, atol=1e-6)
    small = augment_batch(images, PRESETS["none"], 11, fold_seed(1), 0, ROWS)
    np.testing.assert_allclose(
        small, preprocess_batch(images, PRESETS["none"], 11), atol=1e-4
    )


def test_paper_is_a_crop_or_its_reflection_in_another_light(
    images: np.ndarray,
) -> None:
    """Every view, normalised back, is a slice of its picture and a colour."""
    config = PRESETS["paper"]
    views = augment_batch(images, config, SIDE, fold_seed(1), 0, ROWS).numpy()
    views = views * config.std + config.mean
    for view, picture in zip(views, images, strict=True):
        tops = lefts = range(STORED - SIDE + 1)
        crops = [picture[t : t + SIDE, x : x + SIDE] for t in tops for x in lefts]
        residues = [view - c for crop in crops for c in (crop, crop[:, ::-1])]
        assert min(np.ptp(residue, axis=(0, 1)).max() for residue in residues) < 1e-2


@pytest.mark.parametrize("config", CONFIGS)
def test_replicas_share_the_whole_batch_s_draws(
    batch: np.ndarray, config: AugmentConfig
) -> None:
    """The same picture in every row, so that a row's view is its draw."""
    same, seed = np.repeat(batch[:1], ROWS, axis=0), fold_seed(21, 5)
    one = augment_batch(same, config, SIDE, seed, 0, ROWS).numpy()
    two = [augment_batch(same[:4], config, SIDE, seed, row, ROWS) for row in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(two), one)
    if config != PRESETS["none"]:
        assert len(np.unique(one[:, 5, 5, 0])) == ROWS


def test_replicas_share_the_mixing_draws(images: np.ndarray) -> None:
    """Row 0's partner is the last of its own replica, so shares are compared."""
    labels, seed = tf.eye(ROWS), fold_seed(21, 5)
    views = tf.image.resize(images, [SIDE, SIDE])
    _, one = mixup_cutmix(views, labels, EVERYTHING, seed, 0, ROWS)
    for first in (0, 4):
        rows = slice(first, first + 4)
        _, part = mixup_cutmix(views[rows], labels[rows], EVERYTHING, seed, first, ROWS)
        shares = np.diag(part.numpy()[:, rows])
        np.testing.assert_array_equal(shares, np.diag(one)[rows])
    assert 0 < np.diag(one).min() < 1


@pytest.mark.parametrize("config", CONFIGS)
def test_kernels_and_xla_agree(
    batch: np.ndarray, config: AugmentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Augmentation with a GPU and without one."""
    labels = tf.one_hot(np.arange(ROWS) % 2, 2)
    compiled = both(tf.constant(batch), labels, config, 3)
    monkeypatch.setattr("alexnet.pipeline.augment.device.pays", lambda: False)
    kernels = both(tf.constant(batch), labels, config, 3)
    for ours, others in zip(compiled, kernels, strict=True):
        np.testing.assert_allclose(ours, others, atol=1e-3)


@pytest.mark.parametrize("config", [*map(slow, PRESETS.values()), EVERYTHING])
def test_eager_graph_and_tf_data_agree(
    images: np.ndarray, config: AugmentConfig
) -> None:
    labels, step = tf.one_hot(np.arange(ROWS) % 2, 2), tf.constant(3, tf.int64)
    eager = both(tf.constant(images), labels, config, 3)
    graph = tf.function(both)(images, labels, config, step, tf.constant(0))
    pipe = tf.data.Dataset.from_tensors((images, labels, step)).map(
        lambda x, y, step: both(x, y, config, step), num_parallel_calls=2
    )
    for others in (graph, next(iter(pipe))):
        for ours, other in zip(eager, others, strict=True):
            assert other.dtype == tf.float32 and other.shape == ours.shape
            np.testing.assert_allclose(ours, other, atol=1e-4)


@pytest.mark.usefixtures("policy")
def test_mixed_precision_leaves_float32(images: np.ndarray) -> None:
    view, labels = both(tf.constant(images), tf.eye(ROWS), EVERYTHING, 3)
    assert (
        view.dtype == labels.dtype == preprocess_batch(images, EVERYTHING, SIDE).dtype
    )
    assert view.dtype == tf.float32


def test_geometry_and_erasing_are_drawn_apart() -> None:
    """Whether a row is erased says nothing about how far it is turned."""
    ramp = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None, None], (16, 16, 3))
    rows, seed = 400, fold_seed(21, 5)
    ramps = np.repeat(100 + ramp[None], rows, axis=0)
    turning, erasing = AugmentConfig(rotation_degrees=20), AugmentConfig(erasing=0.5)
    turned = augment_batch(ramps, turning, 16, seed, 0, rows)
    erased = augment_batch(ramps, erasing, 16, seed, 0, rows)
    turns = turned[:, 8, 12, 0] - turned[:, 8, 4, 0]
    blank = tf.reduce_min(erased, axis=[1, 2, 3]) == 0
    assert abs(np.corrcoef(turns, blank)[0, 1]) < 0.2


def test_steps_differ_and_repeat(images: np.ndarray) -> None:
    one, same, other = (
        both(tf.constant(images), tf.eye(ROWS), EVERYTHING, step) for step in (3, 3, 4)
    )
    np.testing.assert_array_equal(one[0], same[0])
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1], other[1])


@pytest.mark.parametrize("name", ["article", slow("paper"), slow("modern")])
def test_batches_of_unknown_length(batch: np.ndarray, name: str) -> None:
    spec, config = tf.TensorSpec([None, *batch.shape[1:]], tf.uint8), PRESETS[name]
    unknown = tf.function(
        lambda x, first: augment_batch(x, config, SIDE, fold_seed(2), first, ROWS),
        input_signature=[spec, tf.TensorSpec([], tf.int32)],
    )
    known = augment_batch(batch[4:], config, SIDE, fold_seed(2), 4, ROWS)
    np.testing.assert_allclose(unknown(batch[4:], 4), known, atol=1e-4)


def test_inside_a_strategy(images: np.ndarray) -> None:
    """A replica's number picks its rows."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    config = PRESETS["article"]

    @tf.function
    def step(batch: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group * ROWS
        return augment_batch(batch, config, SIDE, fold_seed(2), first, ROWS)

    views = strategy.run(step, [tf.constant(images)])
    known = augment_batch(images, config, SIDE, fold_seed(2), 0, ROWS)
    np.testing.assert_allclose(views, known, atol=1e-4)


def test_without_mixing_nothing_is_touched(images: np.ndarray) -> None:
    views, labels = tf.image.resize(images, [SIDE, SIDE]), tf.eye(ROWS)
    mixed = mixup_cutmix(views, labels, PRESETS["paper"], fold_seed(1), 0, ROWS)
    assert mixed[0] is views and mixed[1] is labels
