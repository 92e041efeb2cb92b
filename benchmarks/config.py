"""Settings of the benches: frozen, checked when made, light enough for `--help`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import get_args

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.pipeline.config import (
    BuildConfig,
    Config,
    ReadConfig,
    Resize,
    StorageName,
    require,
)

BUILD, NETWORK, TRAIN = BuildConfig(), NetworkConfig(), TrainConfig()


class Loader(str, Enum):
    """Loaders to measure against; an enum, for typer takes no list of a Literal."""

    ARTICLE = "article"
    PLAIN = "plain"
    TORCH_PILLOW = "torch-pillow"
    TORCH_SIMPLEJPEG = "torch-simplejpeg"
    FFCV_JPEG = "ffcv-jpeg"
    FFCV_RAW = "ffcv-raw"
    DALI = "dali"
    GRAIN = "grain"
    MOSAIC = "mosaic"


@dataclass(frozen=True)
class BenchConfig(ReadConfig):
    """What `bench input-pipeline` measures, and for how long."""

    # For each rung, limit and turn of a loader, after a warm-up of half of it.
    seconds: float = 5.0
    against: tuple[str, ...] = ()
    augment: str = TRAIN.augment
    image_size: int = NETWORK.image_size

    def __post_init__(self) -> None:
        ReadConfig.__post_init__(self)
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")
        require(self.image_size >= 1, "image_size", self.image_size, "1 or more")
        known = [loader.value for loader in Loader]
        for name in self.against:
            require(name in known, "against", name, "one of " + ", ".join(known))
            unique = self.against.count(name) == 1
            require(unique, "against", name, "to be named once")


@dataclass(frozen=True)
class BenchSettings:
    """What has to agree of two reports; the names are those of their JSON."""

    storage: StorageName
    side: int
    resize: str
    # Of `jpeg` records; others hold pixels, or files as they were.
    quality: int | None
    reader: str
    batch_size: int
    ram_budget_bytes: int
    augment: str
    image_size: int
    # What the device computes in, by Keras's name.
    precision: str


@dataclass(frozen=True)
class EstimateConfig(Config):
    """Records to estimate, how many photos to try, and the device they are for."""

    side: int = BUILD.side
    resize: Resize = BUILD.resize
    quality: int = BUILD.quality
    sample: int = 300
    # For reading each storage, after a warm-up of half of it.
    seconds: float = 2.0
    # What the device takes, or `train_step` to measure it here.
    train_images_per_second: float | None = None
    train_step: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        demand = self.train_images_per_second
        require(self.sample >= 1, "sample", self.sample, "1 or more photos")
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")
        possible = demand is None or demand > 0
        require(possible, "train_images_per_second", demand, "more than 0")
        require(
            demand is None or not self.train_step,
            "train_step",
            self.train_step,
            "train_images_per_second left out: either is enough",
        )

    def builds(self) -> dict[StorageName, BuildConfig]:
        """The settings of every storage that there is at this side.

        Raises:
            ConfigError: one is out of range.
        """
        # Planes of half the side need an even one.
        names = [
            n for n in get_args(StorageName) if n != "yuv420" or self.side % 2 == 0
        ]
        same = BuildConfig(
            storage="raw", side=self.side, resize=self.resize, quality=self.quality
        )
        return {name: replace(same, storage=name) for name in names}
