"""The variants: their parameters, their types, and that they learn."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.network.layers import Dropout, batch_position
from tests.conftest import slow

VARIANTS = ("article", "paper", "bn", "torchvision")
HALF_PRECISION = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
POLICIES = {"float32": "float32", **HALF_PRECISION}


@pytest.fixture(autouse=True)
def _reset() -> Any:
    keras.utils.set_random_seed(1)
    yield
    keras.mixed_precision.set_global_policy("float32")
    keras.backend.clear_session()


def tiny(variant: Any, **options: Any) -> Any:
    return NetworkConfig(
        **{"variant": variant, "image_size": 67, "width": 1 / 16, **options}
    )


# Weights and biases by hand, conv by conv, dense by dense (batch norm apart).
CONV1, CONV3 = 11 * 11 * 3 * 96, 3 * 3 * 256 * 384
DENSE = (9216 + 1) * 4096 + (4096 + 1) * 4096


def by_hand(groups: Any, classes: Any, bias: int = 1) -> Any:
    grouped = 5 * 5 * 96 * 256 + 3 * 3 * 384 * 384 + 3 * 3 * 384 * 256
    biases = bias * (96 + 256 + 384 + 384 + 256)
    return CONV1 + CONV3 + grouped // groups + biases + DENSE + 4097 * classes


@pytest.mark.parametrize(
    ("config", "parameters", "trainable"),
    [
        # Krizhevsky 2012, section 3: "60 million parameters".
        (
            NetworkConfig(variant="paper", num_classes=1000),
            60_965_224,
            by_hand(2, 1000),
        ),
        (
            NetworkConfig(variant="paper", num_classes=1000, groups=1),
            62_378_344,
            by_hand(1, 1000),
        ),
        # Two moments, a scale and a shift a channel in place of the bias.
        (NetworkConfig(variant="bn"), by_hand(1, 2, bias=4), by_hand(1, 2, bias=2)),
    ],
    ids=["paper", "paper in one group", "bn"],
)
def test_parameters_at_full_size(config: Any, parameters: Any, trainable: Any) -> None:
    network = build_network(config)
    assert network.count_params() == parameters
    assert sum(math.prod(w.shape) for w in network.trainable_weights) == trainable


@pytest.mark.parametrize("variant", VARIANTS)
def test_layer_names_are_unique_and_numbered_by_the_learned_layers(
    variant: Any,
) -> None:
    network = build_network(tiny(variant))
    learned = [
        layer.name
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    ]
    assert learned == [f"conv{n}" for n in range(1, 6)] + ["dense6", "dense7", "dense8"]


def test_the_paper_normalises_before_it_pools_and_groups_three_convolutions() -> None:
    network = build_network(tiny("paper"))
    names = [layer.name for layer in network.layers]
    assert names[1:8] == "conv1 norm1 pool1 conv2 norm2 pool2 conv3".split()
    groups = {n: network.get_layer(f"conv{n}").groups for n in range(1, 6)}
    assert groups == {1: 1, 2: 2, 3: 1, 4: 2, 5: 2}


@pytest.mark.parametrize("variant", VARIANTS[:3])
def test_width_scales_channels_and_units_but_not_classes(variant: Any) -> None:
    network = build_network(tiny(variant, width=0.1, num_classes=7, image_size=99))
    widths = [
        layer.output.shape[-1] for layer in network.layers if layer.name[:4] == "conv"
    ]
    # 9.6, 25.6, 38.4, 38.4, 25.6 to multiples of four.
    assert widths == [8, 24, 40, 40, 24]
    assert network.get_layer("dense6").units == network.get_layer("dense7").units == 408
    assert network.output_shape == (None, 7)


def test_width_never_reaches_zero() -> None:
    network = build_network(tiny("paper", width=1e-3))
    assert network.get_layer("conv1").filters == 4


@pytest.mark.parametrize("size", [67, 224, 227, 256])
def test_image_sizes(size: Any) -> None:
    network = build_network(tiny("article", image_size=size, width=0.01))
    side = (size - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    assert network.get_layer("pool5").output.shape[1:3] == (side, side)


def test_the_dropouts_have_masks_of_their_own() -> None:
    network = build_network(tiny("bn", dropout=0.3))
    dropouts = [layer for layer in network.layers if isinstance(layer, Dropout)]
    assert [layer.rate for layer in dropouts] == [0.3, 0.3]
    x = tf.ones([4, 100])
    with batch_position(0, 0, 0, 4):
        first, second = (layer(x, training=True).numpy() for layer in dropouts)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("variant", "policy"),
    [
        *itertools.product(VARIANTS, ["mixed_bfloat16"]),
        *itertools.starmap(
            slow, itertools.product(VARIANTS, ["float32", "mixed_float16"])
        ),
    ],
)
def test_half_precision_inside_float32_logits_outside(
    variant: Any, policy: Any
) -> None:
    keras.mixed_precision.set_global_policy(policy)
    network = build_network(tiny(variant))
    assert network.get_layer("pool5").output.dtype == POLICIES[policy]
    assert {tf.as_dtype(w.dtype) for w in network.trainable_weights} == {tf.float32}
    logits = network(np.ones([2, 67, 67, 3], np.float32))
    assert logits.dtype == tf.float32
    # No softmax: rows of probabilities would all sum to one.
    assert np.abs(np.sum(logits, axis=1) - 1).max() > 1e-3


@pytest.mark.parametrize(
    ("variant", "policy", "jit"),
    [
        *itertools.starmap(slow, itertools.product(VARIANTS, POLICIES, [False])),
        # Every layer of ours, in the type XLA has the fewest kernels for.
        ("paper", "mixed_float16", True),
    ],
)
def test_one_step_of_training(variant: Any, policy: Any, jit: Any) -> None:
    keras.mixed_precision.set_global_policy(policy)
    network = build_network(tiny(variant))
    images = np.random.default_rng(0).normal(size=(4, 67, 67, 3))
    labels = tf.constant([0, 1, 1, 0])

    @tf.function(jit_compile=jit)
    def step(images: Any, number: Any) -> Any:
        with tf.GradientTape() as tape, batch_position(0, number, 0, 4):
            logits = network(images, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(loss)
        return loss, tape.gradient(loss, network.trainable_weights)

    loss, gradients = step(tf.cast(images, POLICIES[policy]), tf.constant(0, tf.int64))
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in gradients)
    for weight, gradient in zip(network.trainable_weights, gradients, strict=True):
        assert np.abs(gradient).max() > 0 or "kernel" not in weight.name, weight.name


@pytest.mark.parametrize("variant", ["article", slow("paper"), slow("bn")])
def test_a_small_network_learns_stripes(variant: Any) -> None:
    """Upright or lying stripes of any phase: the mean says nothing of the class."""
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(67) * 2 * np.pi / 8 + random.uniform(0, 6, (16, 1)))
    labels = np.arange(16) % 2
    images = np.where(labels[:, None, None], waves[:, :, None], waves[:, None, :])[
        ..., None
    ] + random.normal(0, 0.3, (16, 67, 67, 3))
    network = build_network(tiny(variant, width=1 / 8, dropout=0.0))
    network.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    network.fit(images, labels, batch_size=16, epochs=40, verbose=0)
    # In training mode: the article's moving moments need hundreds of steps.
    predicted = np.argmax(network(images, training=True), axis=1)
    assert (predicted == labels).all()


def test_synchronized_norm_shares_the_moments_of_all_replicas() -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    network = build_network(tiny("bn"), synchronized_norm=True)
    norms = [layer for layer in network.layers if layer.name.startswith("norm")]
    assert len(norms) == 5
    assert all(layer.synchronized for layer in norms)
    assert all(layer.dtype_policy.name == "float32" for layer in norms)
    assert network.get_layer("conv2").compute_dtype == "bfloat16"
    assert not build_network(tiny("bn")).get_layer("norm1").synchronized
