"""Batches of planes, taken apart by NumPy and put together again."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.augment.yuv import is_yuv420, split_planes, stored_side_of
from alexnet.pipeline.errors import ConfigError


def parts(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luma, Cb and Cr of three pictures."""
    random, half = np.random.default_rng(0), side // 2
    shapes = [(3, side, side), (3, half, half), (3, half, half)]
    luma, cb, cr = (random.integers(0, 256, shape, np.uint8) for shape in shapes)
    return luma, cb, cr


def stored(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """One plane's bytes after the other's, in rows as wide as the picture."""
    flat = [plane.reshape(len(plane), -1) for plane in (luma, cb, cr)]
    return np.concatenate(flat, axis=1).reshape(len(luma), -1, luma.shape[2])


# A chroma plane of 18 pixels fills four rows and a half.
@pytest.mark.parametrize("side", [16, 18])
def test_layers_are_the_planes(side: int) -> None:
    luma, cb, cr = parts(side)
    planes = stored(luma, cb, cr)
    assert planes.shape == (3, 3 * side // 2, side)
    graph = tf.function(
        split_planes,
        input_signature=[tf.TensorSpec([None, *planes.shape[1:]], tf.uint8)],
    )
    for one, two in (
        split_planes(planes),
        split_planes(tf.constant(planes)),
        graph(planes),
    ):
        assert one.dtype == two.dtype == tf.uint8
        np.testing.assert_array_equal(one, luma[..., None])
        np.testing.assert_array_equal(two, np.stack([cb, cr], axis=-1))


def test_the_layers_sides_are_known_when_the_graph_is_made() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 24, 16], tf.uint8)])
    def shapes(planes: tf.Tensor) -> tf.Tensor:
        return tf.constant(
            [layer.shape[1:].as_list() for layer in split_planes(planes)]
        )

    empty = np.zeros([0, 24, 16], np.uint8)
    np.testing.assert_array_equal(shapes(empty), [[16, 16, 1], [8, 8, 2]])


def test_pixels_are_one_layer() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    (layer,) = split_planes(pixels)
    np.testing.assert_array_equal(layer, pixels)


@pytest.mark.parametrize(
    ("shape", "side", "planes"),
    [((2, 8, 8, 3), 8, False), ((2, 12, 8), 8, True), ((2, 27, 18), 18, True)],
)
def test_the_side_of_either(shape: tuple[int, ...], side: int, planes: bool) -> None:
    images = tf.zeros(shape, tf.uint8)
    assert stored_side_of(images) == side
    assert is_yuv420(images) == planes


@pytest.mark.parametrize(
    "shape",
    [(2, 8, 9, 3), (2, 8, 8), (2, 13, 9), (2, None, 8), (2, 12, None), (2, None, 8, 3)],
)
def test_what_is_not_square_is_refused(shape: tuple[int | None, ...]) -> None:
    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)])
    def traced(images: tf.Tensor) -> int:
        return stored_side_of(images)

    height, width = shape[1:3]
    needs = rf"is \({height}, {width}\); it needs one known side"
    with pytest.raises(ConfigError, match=needs):
        traced.get_concrete_function()
