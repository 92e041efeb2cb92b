"""The layer table of a network: what `alexnet summary` prints."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.config import NetworkConfig

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
        variant=config.variant,
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
        output_shape=tuple(layer.output_shape[1:]),
        parameters=layer.count_params(),
    )
