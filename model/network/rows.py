"""The rows of the tables that describe variants: each stands for its layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tensorflow import keras

from alexnet.model.config import NetworkConfig
from alexnet.model.network.layers import (
    AdaptiveAveragePool,
    Dropout,
    GroupedConv2D,
    LocalResponseNorm,
)


@dataclass(frozen=True)
class Site:
    """The place where a row is built: all that its layers need besides the row."""

    config: NetworkConfig
    synchronized_norm: bool
    # The learned layers up to here, this row's included; layer names carry it.
    depth: int
    row: int

    def scaled(self, channels: int) -> int:
        """The channels at the configured width, a multiple of 2 x groups."""
        unit = 2 * self.config.groups
        return max(unit, unit * round(channels * self.config.width / unit))


class Row(ABC):
    """A row of a variant's table."""

    learned: ClassVar[bool] = False

    @abstractmethod
    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        """The Keras layers the row stands for, built for its site."""


@dataclass(frozen=True)
class Conv(Row):
    """A convolution and its ReLU; `normed` puts batch norm in place of the bias."""

    learned = True
    filters: int
    kernel: int
    stride: int = 1
    padding: str = "same"
    # Zeros around the input, for a padding at stride 4 that is not TensorFlow's.
    border: int = 0
    grouped: bool = False
    normed: bool = False

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        if self.border:
            yield keras.layers.ZeroPadding2D(self.border, name=f"pad{site.depth}")
        groups = site.config.groups if self.grouped else 1
        convolution = GroupedConv2D if groups > 1 else keras.layers.Conv2D
        yield convolution(
            site.scaled(self.filters),
            self.kernel,
            strides=self.stride,
            padding=self.padding,
            groups=groups,
            activation=None if self.normed else "relu",
            use_bias=not self.normed,
            name=f"conv{site.depth}",
        )
        if self.normed:
            # At 0.99, after 100 steps a third of the moments is what they began as.
            yield from Norm(momentum=0.9).layers(site)
            yield keras.layers.ReLU(name=f"relu{site.depth}")


@dataclass(frozen=True)
class Pool(Row):
    """Overlapping max pooling (Krizhevsky 2012, section 3.4)."""

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        yield keras.layers.MaxPooling2D(3, strides=2, name=f"pool{site.depth}")


@dataclass(frozen=True)
class AdaptivePool(Row):
    """Average pooling to a map of one side, whatever the side of the images."""

    side: int

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        yield AdaptiveAveragePool(self.side, name="adaptive_pool")


@dataclass(frozen=True)
class Lrn(Row):
    """Local response normalisation (Krizhevsky 2012, section 3.3)."""

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        yield LocalResponseNorm(name=f"norm{site.depth}")


@dataclass(frozen=True)
class Norm(Row):
    """Batch normalisation, with the statistics of all replicas if asked for."""

    # Keras's default.
    momentum: float = 0.99

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        yield keras.layers.BatchNormalization(
            momentum=self.momentum,
            synchronized=site.synchronized_norm,
            # Synchronised, Keras subtracts E[x]^2 from E[x^2] in the layer's own type.
            dtype="float32" if site.synchronized_norm else None,
            name=f"norm{site.depth}",
        )


@dataclass(frozen=True)
class Flatten(Row):
    """Height, width and channels in one row of features."""

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        yield keras.layers.Flatten(name="flatten")


@dataclass(frozen=True)
class Hidden(Row):
    """A fully connected layer, its ReLU and its dropout."""

    learned = True
    units: int
    drops_inputs: bool = False

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        dense = keras.layers.Dense(
            site.scaled(self.units),
            activation="relu",
            name=f"dense{site.depth}",
        )
        dropout = Dropout(site.config.dropout, site.row, name=f"dropout{site.depth}")
        yield from (dropout, dense) if self.drops_inputs else (dense, dropout)


@dataclass(frozen=True)
class Logits(Row):
    """The last layer, a number a class, float32 under every policy."""

    learned = True

    def layers(self, site: Site) -> Iterator[keras.layers.Layer]:
        yield keras.layers.Dense(
            site.config.num_classes,
            dtype="float32",
            name=f"dense{site.depth}",
        )
