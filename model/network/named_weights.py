"""Weights of a network by name, such as `conv1/kernel`, and their exchange for others.

A network with fresh weights takes those of one that was trained before, whose last
layer, the head, may have been for other classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from difflib import get_close_matches

import numpy as np
import tensorflow as tf
from tensorflow import keras

from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.files import name_some

Arrays = dict[str, np.ndarray]


def learned_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers that have weights, also of networks within the network."""
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from learned_layers(layer)
        elif layer.weights:
            yield layer


def named_weights(network: keras.Model) -> dict[str, tf.Variable]:
    """Return Keras's weights by layer and name, in the order of the layers."""
    return {
        f"{layer.name}/{_name_in(layer, weight)}": weight
        for layer in learned_layers(network)
        for weight in layer.weights
    }


def _name_in(layer: keras.layers.Layer, weight: tf.Variable) -> str:
    # Keras 3 has paths, Keras 2 names that end in `:0`.
    path = getattr(weight, "path", weight.name).partition(":")[0]
    return str(path.rpartition(f"{layer.name}/")[2])


def named_arrays(network: keras.Model) -> Arrays:
    """Return copies of the weights by name, float32."""
    return {name: weight.numpy() for name, weight in named_weights(network).items()}


def fingerprint(arrays: Arrays) -> str:
    """Return the SHA-256 of weights and their names, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def layer_of(name: str) -> str:
    """Return the layer in a weight's name."""
    return name.partition("/")[0]


def set_weights(
    network: keras.Model, arrays: Arrays, source: str, other_classes: bool = False
) -> tuple[str, ...]:
    """Set a network's weights, but for a head of other classes; return fresh layers.

    Weights are matched by name, or by order where only the names differ: Keras numbers
    layers without a name of their own anew.

    Raises:
        ConfigError: they do not fit; the message has the layers and shapes.
    """
    weights = named_weights(network)
    if set(arrays) != set(weights) and len(arrays) == len(weights):
        arrays = dict(zip(weights, arrays.values(), strict=True))
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    theirs = {name: array.shape for name, array in arrays.items()}
    head = layer_of(list(weights)[-1])
    fresh = other_classes or _has_other_classes(head, shapes, theirs)
    if fresh:
        shapes = {n: shape for n, shape in shapes.items() if layer_of(n) != head}
        theirs = {n: shape for n, shape in theirs.items() if layer_of(n) != head}
    _require_fit(shapes, theirs, source)
    for name in shapes:
        weights[name].assign(arrays[name])
    return (head,) if fresh else ()


Shapes = dict[str, tuple[int, ...]]


def _has_other_classes(head: str, ours: Shapes, theirs: Shapes) -> bool:
    """Tell whether the head's shapes agree but for the number of its units."""
    names = [name for name in ours if layer_of(name) == head]
    return ours != theirs and all(
        name in theirs and ours[name][:-1] == theirs[name][:-1] for name in names
    )


def _require_fit(ours: Shapes, theirs: Shapes, source: str) -> None:
    """Check that two networks have the same weights.

    Raises:
        ConfigError: they have not.
    """
    names = dict.fromkeys([*ours, *theirs])
    misfits = [name for name in names if ours.get(name) != theirs.get(name)]
    if misfits:
        described = [
            f"{name} is {_describe(theirs.get(name))} there and"
            f" {_describe(ours.get(name))} here"
            for name in misfits
        ]
        raise ConfigError(
            f"`init_from`: {source} does not fit the network: {name_some(described)}."
            " Choose the `variant`, `width`, `groups` and `image_size` that the weights"
            " are of."
        )


def _describe(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape))


def freeze_layers(network: keras.Model, names: tuple[str, ...]) -> None:
    """Let layers keep their weights in training.

    Raises:
        ConfigError: a name is no layer's that has weights, or no layer would learn.
    """
    layers = {layer.name: layer for layer in learned_layers(network)}
    for name in names:
        if name not in layers:
            near = get_close_matches(name, layers, n=1, cutoff=0.0)
            raise ConfigError(
                f"`freeze`: there is no layer {name!r} with weights; the nearest name"
                f" is {near[0]} (all: {', '.join(layers)})"
            )
        layers[name].trainable = False
    if names and not network.trainable_weights:
        raise ConfigError(
            "`freeze` names every layer, so that nothing learns. Leave one out, or see"
            " what the weights are worth with `epochs=0`."
        )
