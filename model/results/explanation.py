"""Maps of what an answer rests on: Grad-CAM, and occlusion.

Both are float32 [side, side], and explain a class's share in the answer to a view:
float32 [side, side, 3], the picture as the network takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

# Side of the occluding square as a share of the picture's, and its stride as a share of
# its own: some 120 answers a picture.
PATCH_SHARE, STRIDE_SHARE = 1 / 6, 1 / 2
BATCH = 32

# Probabilities [batch, classes] of float32 [batch, side, side, 3].
Answer = Callable[[np.ndarray], np.ndarray]


def last_spatial_layer(network: keras.Model) -> Any:
    """The last layer to look at places, told by its outputs' shape; None without one.

    That is the last one with weights whose output has height and width, or what only
    rescales or rectifies that output: pooling, which blurs a map, is behind it.
    """
    last = None
    for layer in network.layers:
        shape = output_shape(layer)
        if len(shape) != 4 or shape[1] == 1 or shape[2] == 1:
            continue
        if layer.weights or (last is not None and shape == output_shape(last)):
            last = layer
    return last


def output_shape(layer: Any) -> tuple[int | None, ...]:
    """The shape of a layer's one output; () where it has several, or none yet."""
    with suppress(AttributeError, ValueError):  # it is called twice, or never
        return tuple(layer.output.shape)
    return ()


def grad_cam(
    network: keras.Model, layer: Any, view: np.ndarray, label: int
) -> np.ndarray:
    """Grad-CAM of a class (Selvaraju 2017, equations 1 and 2), 0 to 1.

    The layer's channels are weighted with the mean gradient of the class's logit, and
    what speaks for the class is kept.
    """
    batch = tf.constant(view[None])
    with tf.GradientTape() as tape, recorded(layer) as outputs:
        tape.watch(batch)  # a frozen network has nothing else to watch
        logit = network(batch, training=False)[0, label]
    features = outputs[-1]
    weights = tf.reduce_mean(tape.gradient(logit, features), [1, 2])
    evidence = tf.nn.relu(tf.einsum("bhwc,bc->bhw", features, weights))
    scaled = tf.image.resize(evidence[..., None], view.shape[:2])[0, ..., 0].numpy()
    return np.asarray(scaled / max(float(scaled.max()), 1e-12), np.float32)


@contextmanager
def recorded(layer: Any) -> Iterator[list[tf.Tensor]]:
    """Keep what a layer returns in the block.

    A network of the layer's `output` would be shorter, but there is none of a layer
    that is itself a network.
    """
    outputs, call = [], layer.call

    def call_and_keep(*arguments: Any, **options: Any) -> tf.Tensor:
        outputs.append(call(*arguments, **options))
        return outputs[-1]

    object.__setattr__(layer, "call", call_and_keep)  # Keras tracks what it sets
    try:
        yield outputs
    finally:
        object.__delattr__(layer, "call")


def occlusion(answer: Answer, view: np.ndarray, label: int) -> np.ndarray:
    """Probability that a class loses where a square of the mean colour hides a place.

    After Zeiler 2014, section 4.2; a place has the mean of all squares that hide it.
    """
    side, color = len(view), view.mean(axis=(0, 1))
    patch = max(1, round(side * PATCH_SHARE))
    stride = max(1, round(patch * STRIDE_SHARE))
    starts = [*range(0, side - patch, stride), side - patch]
    windows = [
        np.s_[top : top + patch, left : left + patch]
        for top in starts
        for left in starts
    ]
    whole = answer(view[None])[0, label]
    losses, covers = np.zeros((side, side)), np.zeros((side, side))
    for first in range(0, len(windows), BATCH):
        batch = windows[first : first + BATCH]
        hidden = np.repeat(view[None], len(batch), axis=0)
        for picture, window in zip(hidden, batch, strict=True):
            picture[window] = color
        for window, probability in zip(batch, answer(hidden)[:, label], strict=True):
            losses[window] += whole - probability
            covers[window] += 1
    return np.asarray(losses / covers, np.float32)
