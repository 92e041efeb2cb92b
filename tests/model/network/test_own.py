"""Networks of a user's own: found by name, checked, described and built again."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import SAVED_NETWORK, NetworkConfig
from alexnet.model.network.own import (
    build_own_network,
    describe_network,
    find_function,
    name_of_function,
    network_from_description,
)
from alexnet.pipeline.errors import ConfigError, RunError

SIDE, CLASSES = 32, 3
CONFIG = NetworkConfig(network="nets:build", num_classes=CLASSES, image_size=SIDE)
MODULE = """
from tensorflow import keras

def build(num_classes, image_size):
    images = keras.Input((image_size, image_size, 3))
    return keras.Model(images, keras.layers.Flatten()(images))

def takes_one(num_classes):
    return None

SIDE = 3
"""


def small(num_classes: int, image_size: int, head: Any = None) -> keras.Model:
    """Two ways through the network, which come together again."""
    images = keras.Input((image_size, image_size, 3))
    left = keras.layers.Conv2D(4, 3, strides=8, activation="relu")(images)
    right = keras.layers.AveragePooling2D(8)(images)
    parts = [keras.layers.GlobalAveragePooling2D()(x) for x in (left, right)]
    outputs = keras.layers.Concatenate()(parts)
    for layer in head or [keras.layers.Dense(num_classes)]:
        outputs = layer(outputs)
    return keras.Model(images, outputs)


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the current folder, where a command does not look by itself."""
    (tmp_path / "nets.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)


@pytest.mark.usefixtures("nets")
def test_a_function_is_found_in_the_current_folder_and_by_its_name() -> None:
    function = find_function("nets:build")
    assert name_of_function(function) == "nets:build"


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nots:build", "No module named 'nots'. Modules are looked for in "),
        ("broken:build", "No module named 'nowhere_to_be_found'"),
        ("nets:built", "has no attribute 'built'"),
        ("nets:SIDE", "not a callable"),
        ("nets:takes_one", r"too many positional .*\(num_classes, image_size\)"),
    ],
)
def test_what_cannot_be_found_or_called_is_told(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        find_function(name)
    assert f"`network='{name}'`" in str(error.value)


@pytest.mark.parametrize(
    "function",
    [lambda classes, side: small(classes, side), functools.partial(small, head=None)],
)
def test_a_function_that_nobody_else_can_import_has_no_name(
    function: Callable[[int, int], keras.Model],
) -> None:
    assert name_of_function(function) == SAVED_NETWORK


def test_the_name_must_be_one() -> None:
    for name in ("nets", "nets:", "nets.build", "a b:c", "/etc:x"):
        with pytest.raises(ConfigError, match="it needs MODULE:FUNCTION"):
            NetworkConfig(network=name)
    with pytest.raises(ConfigError, match=r"width is 0.5; .* left out: `network`"):
        NetworkConfig(network="nets:build", width=0.5)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda classes, side: 7, "has returned int; a network is"),
        (lambda classes, side: small(classes, side + 1), r"from \(None, 33, 33, 3\)"),
        (lambda classes, side: small(classes + 1, side), r"to \(None, 4\)"),
        (lambda classes, side: keras.Model(), "whose shapes Keras does not know"),
    ],
)
def test_what_is_no_network_for_the_records_is_told(
    function: Callable[[int, int], Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_own_network(function, CONFIG)


@pytest.mark.parametrize("as_layer", [False, True])
def test_a_final_softmax_is_taken_off(as_layer: bool) -> None:
    """The softmax of what is left is what the network gave with it."""
    head: list[Any] = [keras.layers.Dense(CLASSES, activation="softmax")]
    if as_layer:
        head = [keras.layers.Dense(CLASSES), keras.layers.Softmax()]
    whole = small(CLASSES, SIDE, head)
    pixels = np.random.default_rng(1).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    expected = whole(pixels).numpy()
    logits = build_own_network(lambda classes, side: whole, CONFIG)(pixels)
    assert not np.allclose(logits.numpy().sum(axis=1), 1)
    np.testing.assert_allclose(tf.nn.softmax(logits).numpy(), expected, atol=1e-6)


def test_a_description_builds_the_network_again() -> None:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = small(CLASSES, SIDE)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    again = network_from_description(describe_network(network))
    again.set_weights(network.get_weights())
    pixels = np.random.default_rng(1).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)
    assert again(pixels).dtype == tf.float32
    np.testing.assert_allclose(
        again(pixels).numpy(), tf.cast(network(pixels), tf.float32).numpy(), atol=0.05
    )


class Foreign(keras.layers.Layer):
    """A layer that is not Keras's."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs


def test_layers_of_ones_own_have_no_description() -> None:
    network = small(CLASSES, SIDE, [Foreign(), keras.layers.Dense(CLASSES)])
    with pytest.raises(ConfigError, match=r"not Keras's \(Foreign\).*into a module"):
        describe_network(network)


def test_a_run_folder_has_nothing_executed() -> None:
    """Neither a class of another module, nor Python in a lambda."""
    description = json.loads(describe_network(small(CLASSES, SIDE)))
    forged = description | {"module": "subprocess", "class_name": "Popen"}
    with pytest.raises(RunError, match="not Keras's: Popen"):
        network_from_description(json.dumps(forged))
    forged = json.loads(json.dumps(description))
    forged["config"]["layers"][1]["class_name"] = "Lambda"
    for text in (json.dumps(forged), "[]", "{", '{"class_name": "Model"}', "7"):
        with pytest.raises(RunError, match="holds no network"):
            network_from_description(text)
