"""The pipeline's settings: frozen, checked when made, to and from JSON.

BuildConfig turns files into records, ReadConfig records into batches, AugmentConfig
batches into what the network sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from alexnet.pipeline.setting import MAX_COUNT, MAX_SEED, Config, require, setting

StorageName = Literal["jpeg", "raw", "yuv420", "original"]
# `stream-first` streams the first epoch and maps the others.
Reader = Literal["auto", "stream", "mmap", "stream-first"]
# Of `jpeg` records: `planes` are luma and chroma as a JPEG holds them.
Decode = Literal["rgb", "planes"]
Split = Literal["train", "validation", "test"]
Resize = Literal["crop", "squash"]
LabelSource = Literal["auto", "folder", "name", "csv"]
Geometry = Literal["whole", "centre", "crop", "resized"]
Preset = Literal["article", "paper", "modern", "trivial", "none"]
# Test-time augmentation: the views of a picture that are evaluated.
Tta = Literal["none", "flip", "ten-crop"]

MIN_RAM_BUDGET_BYTES = 2**26
# Share of the images that a build may set aside.
MAX_BAD = 0.01
# Raised whenever a seed comes to give epochs another order: a run keeps to its own.
ORDER_VERSION = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildConfig(Config):
    """The settings that decide the bytes of a record set.

    `workers` and `max_bad` are not here: they change no byte.
    """

    storage: StorageName = setting("jpeg", "Encoding of the images in the records.")
    # Krizhevsky 2012, section 2: shorter side to 256, central 256x256 patch.
    side: int = setting(
        256, "Side of the stored square, in pixels.", 8, 4096, "8 to 4096 pixels"
    )
    resize: Resize = setting(
        "crop", "Cut the central square out of an image, or squash all of it into one."
    )
    quality: int = setting(90, "JPEG quality, 1 to 100.", 1, 100)
    labels: LabelSource = setting(
        "auto", "Source of the labels: class folders, file names or a CSV."
    )
    validation_fraction: float = setting(
        0.25, "Share of every class to hold out for validation, 0 to 1.", 0, 1
    )
    seed: int = setting(
        21, "Seed of the split and of the order of the records.", 0, MAX_SEED
    )
    shards: int | None = setting(
        None,
        "Number of train shards; validation gets its share. Default: by their size.",
        *(1, 99_999, "1 to 99999"),
    )
    shard_size_bytes: int = setting(
        128 * 2**20, "Largest size of a shard.", 2**10, needs="1 KiB or more"
    )

    def check(self) -> None:
        """Check that `yuv420` can halve the side."""
        require(
            self.storage != "yuv420" or self.side % 2 == 0,
            "side",
            self.side,
            "an even number of pixels: yuv420 halves its chroma",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadConfig(Config):
    """The settings of reading; none changes which examples the batches hold."""

    batch_size: int = setting(
        128, "Images in a global batch, over all replicas.", 1, MAX_COUNT
    )
    reader: Reader = setting(
        "auto",
        "Read shards as a stream, memory-mapped, or mapped from the second epoch on;"
        " auto picks the faster way.",
    )
    decode: Decode = setting(
        "rgb",
        "Decode JPEG records to RGB, or to their own luma and chroma planes, half the"
        " bytes, which the device turns into RGB; needs libturbojpeg.",
    )
    ram_budget_bytes: int = setting(
        4 * 2**30,
        "Memory that the input pipeline may take for shuffling and batches.",
        *(MIN_RAM_BUDGET_BYTES, math.inf, "64 MiB or more"),
    )
    seed: int = setting(21, "Seed of everything random.", 0, MAX_SEED)
    cache: str | None = setting(
        None,
        "Folder for the shards of a record set at a URL. Default: `alexnet` in the"
        " user's cache folder.",
    )
    cache_limit_bytes: int | None = setting(
        None,
        "Most bytes of shards in the cache; what was used longest ago goes first."
        " Default: what its disk has free, but for a tenth of it.",
        *(1, math.inf, "1 byte or more"),
    )


# Where other dataclasses and commands take their defaults.
BUILD, READ = BuildConfig(), ReadConfig()


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig(Config):
    """The strength of each random change to an image; zero or (1, 1) is none.

    `geometry` says how the stored square becomes the network's: `whole` scales all of
    it, `centre` cuts the central window of the network's side, `crop` a random one
    (both of a square that is scaled down first where it is much larger),
    `resized` cuts a random window of `scale` (share of the area) and `ratio` (width by
    height) and scales that. Evaluation takes the central window for the last two.
    """

    geometry: Geometry = "crop"
    # Drawn uniformly in [-x, x].
    rotation_degrees: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    shear_degrees: float = 0.0
    # Drawn apart for x and y; above 1 shows more of the picture (as in Keras 2).
    zoom: tuple[float, float] = (1.0, 1.0)
    scale: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    flip_horizontal: bool = False
    flip_vertical: bool = False
    # Factors drawn uniformly in [1 - x, 1 + x].
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    # Standard deviation of the PCA lighting (Krizhevsky 2012, section 4.1).
    lighting: float = 0.0
    # One more change of each image, of its own kind and strength (`trivial.py`).
    trivial: bool = False
    # Probability that a random rectangle of an image is blanked.
    erasing: float = 0.0
    # Beta distribution's parameter; each image is mixed by one of the two.
    mixup: float = 0.0
    cutmix: float = 0.0
    # What the network sees is (pixel - mean) / std, pixels in [0, 255].
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)

    @property
    def axis_aligned(self) -> bool:
        """Return True where nothing is rotated or sheared."""
        return not (self.rotation_degrees or self.shear_degrees or self.trivial)

    @property
    def needs_no_resampling(self) -> bool:
        """Return True where pictures are only cropped and flipped."""
        shifts = self.shift_x or self.shift_y or self.zoom != (1.0, 1.0)
        return self.axis_aligned and self.geometry in ("centre", "crop") and not shifts

    @property
    def evaluation_geometry(self) -> Geometry:
        """The part of a picture that evaluation shows: all of it, or the centre."""
        return "whole" if self.geometry == "whole" else "centre"

    def check(self) -> None:
        """Check the range of every change."""
        for name in ("rotation_degrees", "shear_degrees"):
            value = getattr(self, name)
            require(0 <= value <= 180, name, value, "0 to 180 degrees")
        for name in (
            *("shift_x", "shift_y", "brightness", "contrast", "saturation"),
            *("lighting", "erasing"),
        ):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "0 to 1")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            require(value >= 0, name, value, "0 or more")
        for name in ("zoom", "scale", "ratio"):
            low, high = getattr(self, name)
            require(0 < low <= high, name, (low, high), "0 < low <= high")
        require(self.scale[1] <= 1, "scale", self.scale, "shares of at most 1")
        require(min(self.std) > 0, "std", self.std, "three numbers above 0")
