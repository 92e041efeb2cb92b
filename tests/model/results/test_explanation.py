"""Maps point at a corner, where an answer is known to come from that corner alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig, Variant
from alexnet.model.network.alexnet import build_network
from alexnet.model.results.explanation import (
    PATCH_SHARE,
    grad_cam,
    last_spatial_layer,
    occlusion,
)

SIDE, CORNER = 24, 8
RNG = np.random.default_rng(7)
VIEW = RNG.uniform(0.2, 1, (SIDE, SIDE, 3)).astype(np.float32)
VIEW[:CORNER, -CORNER:] = 1  # bright, so that hiding it takes something away


def corner_network(trainable: bool = True) -> Any:
    """Logits whose second class is the brightness of the upper right corner."""
    images = keras.Input((SIDE, SIDE, 3))
    seen = keras.layers.Cropping2D(((0, SIDE - CORNER), (SIDE - CORNER, 0)))(images)
    seen = keras.layers.ZeroPadding2D(((0, SIDE - CORNER), (SIDE - CORNER, 0)))(seen)
    ones = keras.initializers.Ones()
    features = keras.layers.Conv2D(2, 1, kernel_initializer=ones, name="last")(seen)
    pooled = keras.layers.GlobalAveragePooling2D()(
        keras.layers.MaxPooling2D(2)(features)
    )
    weights = keras.initializers.Constant([[-3.0, 3.0], [-3.0, 3.0]])
    logits = keras.layers.Dense(2, kernel_initializer=weights)(pooled)
    network = keras.Model(images, logits)
    network.trainable = trainable
    return network


def is_corner() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:CORNER, -CORNER:] = True
    return mask


@pytest.mark.parametrize("trainable", [True, False])
def test_grad_cam_points_at_the_corner(trainable: bool) -> None:
    network = corner_network(trainable)
    layer = last_spatial_layer(network)
    assert layer.name == "last"
    cam = grad_cam(network, layer, VIEW, label=1)
    assert cam.shape == (SIDE, SIDE) and cam.max() == pytest.approx(1)
    assert cam[is_corner()].min() > 0.9 and not cam[~is_corner()].any()
    # Nothing there speaks for the other class.
    assert not grad_cam(network, layer, VIEW, label=0).any()


def test_occlusion_points_at_the_corner() -> None:
    network = corner_network()

    def answer(views: np.ndarray) -> np.ndarray:
        return np.asarray(tf.nn.softmax(network(views)))

    lost = occlusion(answer, VIEW, label=1)
    assert lost.shape == (SIDE, SIDE)
    # A square that meets the corner may reach beyond it by almost its side.
    patch = round(SIDE * PATCH_SHARE)
    near = np.zeros((SIDE, SIDE), bool)
    near[: CORNER + patch - 1, -(CORNER + patch - 1) :] = True
    assert (lost[: CORNER - patch, -(CORNER - patch) :] > 0).all()
    np.testing.assert_allclose(lost[~near], 0, atol=1e-6)
    np.testing.assert_allclose(occlusion(answer, VIEW, label=0), -lost, atol=1e-6)
    # By hand, the one square that hides the outermost corner.
    hidden = VIEW.copy()
    hidden[:patch, -patch:] = VIEW.mean(axis=(0, 1))
    drop = answer(VIEW[None])[0, 1] - answer(hidden[None])[0, 1]
    assert lost[0, -1] == pytest.approx(drop, abs=1e-6)


@pytest.mark.parametrize(
    ("variant", "name"), [("article", "conv5"), ("paper", "conv5"), ("bn", "relu5")]
)
def test_the_last_convolution_is_found_before_its_pooling(
    variant: Variant, name: str
) -> None:
    network = build_network(NetworkConfig(variant=variant, width=1 / 16, image_size=67))
    layer = last_spatial_layer(network)
    assert layer.name == name
    view = RNG.normal(size=(67, 67, 3)).astype(np.float32)
    assert grad_cam(network, layer, view, 0).shape == (67, 67)


def test_a_network_inside_a_network_is_a_layer() -> None:
    images = keras.Input((SIDE, SIDE, 3))
    inner = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), keras.layers.Conv2D(4, 3)], name="backbone"
    )
    features = keras.layers.GlobalAveragePooling2D()(inner(images))
    network = keras.Model(images, keras.layers.Dense(2)(features))
    layer = last_spatial_layer(network)
    assert layer.name == "backbone"
    assert grad_cam(network, layer, VIEW, 1).shape == (SIDE, SIDE)


def test_a_network_without_places_has_no_such_layer() -> None:
    images = keras.Input((SIDE, SIDE, 3))
    flat = keras.layers.Flatten()(images)
    assert last_spatial_layer(keras.Model(images, keras.layers.Dense(2)(flat))) is None
