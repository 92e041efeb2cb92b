"""The pipeline's settings: frozen, checked when made, to and from JSON.

BuildConfig turns files into records, ReadConfig records into batches, AugmentConfig
batches into what the network sees.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from alexnet.pipeline.errors import ConfigError

StorageName = Literal["jpeg", "raw", "yuv420", "original"]
Reader = Literal["auto", "stream", "mmap"]
Split = Literal["train", "validation", "test"]
Resize = Literal["crop", "squash"]
LabelSource = Literal["auto", "folder", "name", "csv"]
Geometry = Literal["whole", "centre", "crop", "resized"]

_Config = TypeVar("_Config", bound="Config")


@dataclass(frozen=True)
class Config:
    """A frozen dataclass of settings that knows its JSON form."""

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, in the order they are declared."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls: type[_Config], values: dict[str, Any]) -> _Config:
        """The settings back from `to_json`.

        Raises:
            ConfigError: a name is unknown, or a value is out of range.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise ConfigError(
                f"unknown {cls.__name__} settings: {', '.join(unknown)}"
                f" (known: {', '.join(names)})"
            )
        return cls(**{k: _tuples(v) for k, v in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def require(condition: bool, name: str, value: object, needs: str) -> None:
    """Raise a ConfigError that names the setting, its value and what it needs."""
    if not condition:
        raise ConfigError(f"{name} is {value!r}; it needs {needs}")


def require_choice(name: str, value: object, choices: Any) -> None:
    """As `require`, for a Literal type's values."""
    options = get_args(choices)
    require(value in options, name, value, "one of " + ", ".join(options))


@dataclass(frozen=True)
class BuildConfig(Config):
    """What decides the bytes of a record set.

    `workers` and `max_bad` are not here: they change no byte.
    """

    storage: StorageName = "jpeg"
    # Krizhevsky 2012, section 2: shorter side to 256, central 256x256 patch.
    side: int = 256
    resize: Resize = "crop"
    quality: int = 90
    labels: LabelSource = "auto"
    validation_fraction: float = 0.25
    seed: int = 21
    shards: int | None = None
    shard_size_bytes: int = 128 * 2**20

    def __post_init__(self) -> None:
        require_choice("storage", self.storage, StorageName)
        require_choice("resize", self.resize, Resize)
        require_choice("labels", self.labels, LabelSource)
        require(8 <= self.side <= 4096, "side", self.side, "8 to 4096 pixels")
        require(
            self.storage != "yuv420" or self.side % 2 == 0,
            "side",
            self.side,
            "an even number of pixels: yuv420 halves its chroma",
        )
        require(1 <= self.quality <= 100, "quality", self.quality, "1 to 100")
        require(abs(self.seed) < 2**63, "seed", self.seed, "a number of 64 bits")
        require(
            0 <= self.validation_fraction <= 1,
            "validation_fraction",
            self.validation_fraction,
            "0 to 1",
        )
        require(
            self.shards is None or 1 <= self.shards <= 99_999,
            "shards",
            self.shards,
            "1 to 99999",
        )
        require(
            self.shard_size_bytes >= 2**10,
            "shard_size_bytes",
            self.shard_size_bytes,
            "1 KiB or more",
        )


MIN_RAM_BUDGET_BYTES = 2**26


@dataclass(frozen=True)
class ReadConfig(Config):
    """How records become batches; no setting here changes what an epoch holds."""

    # The global batch, over all replicas.
    batch_size: int = 128
    seed: int = 21
    # What the host side may hold: shuffle buffer, batches in flight.
    ram_budget_bytes: int = 4 * 2**30
    reader: Reader = "auto"

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        require_choice("reader", self.reader, Reader)
        require(
            self.ram_budget_bytes >= MIN_RAM_BUDGET_BYTES,
            "ram_budget_bytes",
            self.ram_budget_bytes,
            "64 MiB or more",
        )


@dataclass(frozen=True)
class AugmentConfig(Config):
    """How far each random change may go; zero or (1, 1) is none.

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
    # Probability that a random rectangle of an image is blanked.
    erasing: float = 0.0
    # Beta distribution's parameter; each image is mixed by one of the two.
    mixup: float = 0.0
    cutmix: float = 0.0
    # What the network sees is (pixel - mean) / std, pixels in [0, 255].
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)

    @property
    def needs_no_resampling(self) -> bool:
        """Whether the geometry only crops and flips, and interpolates nothing."""
        shifts = (self.shift_x, self.shift_y, self.rotation_degrees, self.shear_degrees)
        crops = self.geometry in ("centre", "crop")
        return crops and not any(shifts) and self.zoom == (1.0, 1.0)

    def __post_init__(self) -> None:
        require_choice("geometry", self.geometry, Geometry)
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
