"""A network on images of other sides, against its own layers and NumPy's averages."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig, Variant
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.other_sides import at_sides

SIDE, CLASSES = 131, 3


def network(variant: Variant) -> keras.Model:
    keras.utils.set_random_seed(1)
    config = NetworkConfig(
        variant=variant, image_size=SIDE, width=1 / 16, num_classes=CLASSES
    )
    return build_network(config)


def averages(maps: np.ndarray, grid: int) -> np.ndarray:
    """PyTorch's adaptive pooling of [batch, side, side, channels], place by place."""
    side = maps.shape[1]
    ends = [(i * side // grid, -(-(i + 1) * side // grid)) for i in range(grid)]
    rows = [[maps[:, a:b, c:d].mean((1, 2)) for c, d in ends] for a, b in ends]
    return np.stack([np.stack(row, 1) for row in rows], 1)


@pytest.mark.parametrize("variant", ["article", "paper", "bn", "torchvision"])
def test_the_last_map_is_averaged_to_the_one_that_dense_layers_know(
    variant: Variant,
) -> None:
    made = network(variant)
    grid = 6 if variant == "torchvision" else 3
    images = np.random.default_rng(0).normal(size=(2, 99, 99, 3)).astype(np.float32)
    names = [layer.name for layer in made.layers]
    outputs = tf.constant(images)
    for layer in made.layers[1 : names.index("pool5") + 1]:
        outputs = layer(outputs)
    assert outputs.shape[1] == 2
    outputs = tf.constant(averages(outputs.numpy(), grid))
    for layer in made.layers[names.index("flatten") :]:
        outputs = layer(outputs)
    smaller = at_sides(made, [99])[99]
    assert smaller.input_shape == (None, 99, 99, 3)
    np.testing.assert_allclose(smaller(images), outputs, rtol=1e-4, atol=1e-5)


def test_weights_are_the_networks_own() -> None:
    made = network("bn")
    images = tf.ones([1, SIDE, SIDE, 3])
    expected = made(images).numpy()
    others = at_sides(made, [67, 99, SIDE])
    for other in others.values():
        pairs = zip(other.weights, made.weights, strict=True)
        assert all(theirs is ours for theirs, ours in pairs)
    np.testing.assert_array_equal(others[SIDE](images), expected)
    np.testing.assert_array_equal(made(images), expected)


def test_half_precision_stays_inside() -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        smaller = at_sides(network("bn"), [99])[99]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert smaller.input.dtype == "bfloat16"
    assert smaller(tf.ones([1, 99, 99, 3], tf.bfloat16)).dtype == tf.float32
