"""Progressive resizing: a run begins with small images and ends with its own size.

A small image takes less work, and what is learned of it holds for a larger one. Stages
are of equal length, as in Tan 2021 (EfficientNetV2, section 4.2); FFCV's ImageNet runs
rise from 160 to 192 px.
"""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.setting import require

# By these one more row of pixels fits into the last map: strides of 4, 2, 2 and 2.
STAGE_PIXELS = 32


@dataclass(frozen=True)
class ImageSides:
    """The sides of the training images: a pure function of the epoch."""

    sides: tuple[int, ...]
    epochs: int

    def of_epoch(self, epoch: int) -> int:
        """Return the side of an epoch's images; the first epoch is 0."""
        stage = epoch * len(self.sides) // self.epochs
        return self.sides[min(stage, len(self.sides) - 1)]


def make_image_sides(network: NetworkConfig, train: TrainConfig) -> ImageSides:
    """Return the sides of a run; one that has fewer epochs leaves out the smallest.

    Raises:
        ConfigError: they do not rise, or the network is one of the user's own.
    """
    least, side, epochs = (
        train.progressive_from,
        network.image_size,
        train.falling_epochs,
    )
    if least in (None, side):
        return ImageSides((side,), max(1, epochs))
    if network.network is not None:
        raise ConfigError(
            f"`progressive_from={least}` runs a network on images of several sides,"
            " which AlexNet's variants are built for. With `network`, leave it out, or"
            f" give `progressive_from={side}`, its image size"
        )
    needs = f"`image_size={side}`, or {side - STAGE_PIXELS} or less, to rise to it"
    require(least <= side - STAGE_PIXELS, "progressive_from", least, needs)
    sides = tuple(range(side, least - 1, -STAGE_PIXELS))[: max(1, epochs)]
    return ImageSides(sides[::-1], max(1, epochs))
