"""Settings of the benches: frozen, checked when made, light enough for `--help`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import get_args

from alexnet.model.config import NETWORK, TRAIN
from alexnet.pipeline.config import (
    BUILD,
    BuildConfig,
    Decode,
    Preset,
    ReadConfig,
    Resize,
    StorageName,
)
from alexnet.pipeline.setting import ABOVE_0, Config, require, setting


class Loader(str, Enum):
    """Loaders to measure against; an enum, for typer takes no list of a Literal."""

    ARTICLE = "article"
    PLAIN = "plain"
    TORCH_PILLOW = "torch-pillow"
    TORCH_SIMPLEJPEG = "torch-simplejpeg"
    FFCV_JPEG = "ffcv-jpeg"
    FFCV_SAME_JPEG = "ffcv-same-jpeg"
    FFCV_RAW = "ffcv-raw"
    DALI = "dali"
    GRAIN = "grain"
    MOSAIC = "mosaic"


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig(ReadConfig):
    """The input pipeline to measure, loaders to time beside it, and for how long."""

    # For each rung, limit and turn of a loader, after a warm-up of half of it.
    seconds: float = 5.0
    against: tuple[str, ...] = ()
    augment: Preset = TRAIN.augment
    image_size: int = NETWORK.image_size
    # HOST:PORT of a dispatcher whose workers make the batches.
    data_service: str | None = None

    def check(self) -> None:
        """Check the ranges, and that the loaders are known."""
        require(self.seconds > 0, "seconds", self.seconds, "more than 0")
        require(self.image_size >= 1, "image_size", self.image_size, "1 or more")
        known = [loader.value for loader in Loader]
        for name in self.against:
            require(name in known, "against", name, "one of " + ", ".join(known))
            unique = self.against.count(name) == 1
            require(unique, "against", name, "to be named once")


@dataclass(frozen=True)
class BenchSettings:
    """The settings that two reports must share; the names are those of their JSON."""

    storage: StorageName
    side: int
    resize: str
    # Of `jpeg` records; others hold pixels, or files as they were.
    quality: int | None
    reader: str
    decode: Decode
    batch_size: int
    ram_budget_bytes: int
    augment: str
    image_size: int
    # What the device computes in, by Keras's name.
    precision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimateConfig(Config):
    """Records to estimate, photos to try for it, and the device they are for."""

    side: int = BUILD.side
    resize: Resize = BUILD.resize
    quality: int = BUILD.quality
    sample: int = setting(300, "Number of photos to try.", 1, needs="1 or more photos")
    seconds: float = setting(
        2.0,
        "Seconds to read each storage, after a warm-up.",
        ABOVE_0,
        needs="more than 0",
    )
    workers: int | None = setting(
        None,
        "Number of processes, or of Beam's workers, that the whole build is to have."
        " Default: one for each CPU.",
        1,
        needs="1 or more",
    )
    train_images_per_second: float | None = setting(
        None,
        "Images a second that your device trains on, as `alexnet bench train-step`"
        " measures them.",
        ABOVE_0,
        needs="more than 0",
    )
    train_step: bool = setting(False, "Measure that here instead.")
    mixed_precision: bool = TRAIN.mixed_precision

    def check(self) -> None:
        """Check that the train step is given or measured, not both."""
        require(
            self.train_images_per_second is None or not self.train_step,
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
