"""The layer table of a network: what `alexnet summary` prints."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alexnet.model.config import NetworkConfig

if TYPE_CHECKING:
    from tensorflow import keras

# They change neither shape nor parameters; most ReLUs are part of a layer anyway.
_LEFT_OUT = ("InputLayer", "ReLU")


@dataclass(frozen=True)
class LayerSummary:
    """One row of the table; the shape is without the batch axis."""

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class NetworkSummary:
    """A network's layers and how many numbers they hold."""

    variant: str
    num_classes: int
    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable_parameters: int

    def to_json(self) -> dict[str, Any]:
        """The summary as plain JSON values, in the order of its fields."""
        values = dataclasses.asdict(self)
        values["layers"] = [
            {**layer, "output_shape": list(layer["output_shape"])}
            for layer in values["layers"]
        ]
        return values


def summarize(network: keras.Model, config: NetworkConfig) -> NetworkSummary:
    """The summary of a network that `build_network(config)` returned."""
    return NetworkSummary(
        variant=config.name,
        num_classes=config.num_classes,
        layers=tuple(
            _summarize_layer(layer)
            for layer in network.layers
            if type(layer).__name__ not in _LEFT_OUT
        ),
        parameters=network.count_params(),
        trainable_parameters=sum(
            math.prod(weight.shape) for weight in network.trainable_weights
        ),
    )


def _summarize_layer(layer: keras.layers.Layer) -> LayerSummary:
    return LayerSummary(
        name=layer.name,
        type=type(layer).__name__,
        output_shape=tuple(layer.output.shape[1:]),
        parameters=layer.count_params(),
    )


def forward_flops(network: keras.Model) -> int:
    """Floating-point operations of one image on its way through the network.

    Of convolutions and dense layers alone, two for each multiply-add: a kernel is used
    once at every position of its output. All else is about a thousandth of it.
    """
    return sum(_layer_flops(layer) for layer in network.layers)


def training_flops(network: keras.Model) -> int:
    """As `forward_flops`, for one image's part of a training step.

    The gradients of a layer's weights and of its inputs each cost as much as its
    forward pass; the first layer's inputs are pixels, which need none.
    """
    flops = [count for layer in network.layers if (count := _layer_flops(layer))]
    return 3 * sum(flops) - sum(flops[:1])


def _layer_flops(layer: keras.layers.Layer) -> int:
    if hasattr(layer, "layers"):  # a network within the network
        return forward_flops(layer)
    if not hasattr(layer, "kernel"):
        return 0
    positions: int = math.prod(layer.output.shape[1:-1])
    return 2 * positions * int(math.prod(layer.kernel.shape))
