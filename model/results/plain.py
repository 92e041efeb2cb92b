"""The trained network of Keras's own layers: a file of it needs nothing of ours."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from alexnet.model.network.layers import (
    AdaptiveAveragePool,
    Dropout,
    GroupedConv2D,
    LocalResponseNorm,
    pooling_windows,
)
from alexnet.model.training.classifier import Classifier

OURS = (AdaptiveAveragePool, Dropout, GroupedConv2D, LocalResponseNorm)


def plain_network(classifier: Classifier) -> keras.Model:
    """Levels in [0, 255], float32 [batch, S, S, 3], to probabilities [batch, classes].

    The first layer normalises. The last is the softmax; the logits are the output of
    the layer below it, for whoever trains on.
    """
    network, augment = classifier.network, classifier.augment
    images = keras.Input(network.input_shape[1:], name="images")
    scales = [1 / std for std in augment.std]
    offsets = [-mean / std for mean, std in zip(augment.mean, augment.std, strict=True)]
    outputs = keras.layers.Rescaling(scales, offsets, name="normalize")(images)
    if not any(isinstance(layer, OURS) for layer in network.layers):
        outputs = network(outputs)
    else:
        for layer in network.layers[1:]:
            outputs = _apply_plain(layer, outputs)
    outputs = keras.layers.Softmax(name="probabilities")(outputs)
    plain = keras.Model(images, outputs, name=network.name)
    plain.set_weights(network.get_weights())
    return plain


def _apply_plain(layer: keras.layers.Layer, inputs: tf.Tensor) -> tf.Tensor:
    """The outputs of Keras's layer that does what one of the network's does."""
    settings = layer.get_config()
    if isinstance(layer, LocalResponseNorm):
        return _plain_response_norm(layer, inputs)
    if isinstance(layer, AdaptiveAveragePool):
        return _pool(_pool(inputs, layer.side, 1), layer.side, 2)
    if isinstance(layer, Dropout):
        return keras.layers.Dropout(layer.rate, name=layer.name)(inputs)
    kind = keras.layers.Conv2D if isinstance(layer, GroupedConv2D) else type(layer)
    return kind.from_config(settings)(inputs)


def _plain_response_norm(layer: LocalResponseNorm, inputs: tf.Tensor) -> tf.Tensor:
    """Normalise as the layer does, by the operators that any Keras keeps in a file."""
    squares = inputs * inputs
    edge = squares[:, :, :, : layer.radius] * 0.0
    padded = keras.layers.Concatenate()([edge, squares, edge])
    window = range(2 * layer.radius + 1)
    energy = sum(padded[:, :, :, i : i + inputs.shape[-1]] for i in window)
    return inputs / (energy * layer.alpha + layer.bias) ** layer.beta


def _pool(inputs: tf.Tensor, side: int, axis: int) -> tf.Tensor:
    """Averages of an axis's windows, cut out and pooled one by one."""
    size = inputs.shape[axis]
    if size == side:
        return inputs
    rows, averages = axis == 1, []
    for start, end in pooling_windows(size, side):
        beside, window = (start, size - end), end - start
        cropping = (beside, (0, 0)) if rows else ((0, 0), beside)
        cut = keras.layers.Cropping2D(cropping)(inputs)
        pool = keras.layers.AveragePooling2D((window, 1) if rows else (1, window))
        averages.append(pool(cut))
    return keras.layers.Concatenate(axis)(averages)
