"""A network for images of another side than its own: the same layers and weights."""

from __future__ import annotations

from collections.abc import Iterable

from tensorflow import keras

from alexnet.model.network.layers import AdaptiveAveragePool


def at_sides(network: keras.Model, sides: Iterable[int]) -> dict[int, keras.Model]:
    """Return one of AlexNet's variants for images of each side.

    Its dense layers know a map of one size. Before them, that of other images is pooled
    to this size, as in torchvision's AlexNet: the same averages, where it has as many.
    """
    # Before it has a second input.
    grid = network.get_layer("flatten").input.shape[1]
    return {side: _at_side(network, side, grid) for side in sides}


def _at_side(network: keras.Model, side: int, grid: int) -> keras.Model:
    images = keras.Input((side, side, 3), dtype=network.input.dtype, name="images")
    outputs = images
    for layer in network.layers[1:]:
        if layer.name == "flatten":
            outputs = AdaptiveAveragePool(grid)(outputs)
        outputs = layer(outputs)
    return keras.Model(images, outputs, name=f"{network.name}_{side}px")
