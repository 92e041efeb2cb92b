"""The network's and the training's settings: frozen, checked when made, JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import Config, ReadConfig, Reader, require, require_choice
from alexnet.pipeline.errors import ConfigError

Variant = Literal["article", "paper", "bn"]
OptimizerName = Literal["momentum", "sgd", "adam"]
Schedule = Literal["cosine", "steps", "constant"]
Loss = Literal["sparse", "one-hot"]
StrategyName = Literal["auto", "none", "mirrored", "multi-worker"]

# The default recipe's length; see the README's curve.
DEFAULT_EPOCHS = 20
# The upper ends keep mistyped settings and damaged files out of TensorFlow's way.
RANGES = {
    "epochs": (1, 10**6),
    "batch_size": (1, 10**6),
    "warmup_epochs": (0, 10**6),
    "decay_epochs": (1, 10**6),
    "patience": (1, 10**6),
    "weight_decay": (0, 10**3),
    "logical_cpus": (1, 256),
    "steps_per_execution": (1, 10**6),
    "seed": (0, 2**32 - 1),  # NumPy's, which Keras seeds as well
}


@dataclass(frozen=True)
class NetworkConfig(Config):
    """Which AlexNet: its rows, its input's side, its classes, how wide."""

    variant: Variant = "article"
    num_classes: int = 2
    # 227, not the paper's printed 224: 55 outputs of an 11x11 window at stride 4.
    image_size: int = 227
    # Channels and units as a share of the paper's, for small tasks and quick tries.
    width: float = 1.0
    dropout: float = 0.5
    # Filter groups in conv 2, 4 and 5 of `paper`: 2 is the paper's pair of GPUs.
    groups: int = 2

    def __post_init__(self) -> None:
        require_choice("variant", self.variant, Variant)
        require(self.num_classes >= 2, "num_classes", self.num_classes, "2 or more")
        require(
            self.image_size >= 67,
            "image_size",
            self.image_size,
            "67 pixels or more: smaller ones vanish in the pooling",
        )
        require(0 < self.width <= 4, "width", self.width, "above 0, at most 4")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "0 to below 1")
        require(self.groups in (1, 2), "groups", self.groups, "1 or 2")


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a network is trained; every random draw is a function of `seed`."""

    epochs: int = DEFAULT_EPOCHS
    # The global batch, over all replicas (Krizhevsky 2012, section 5).
    batch_size: int = 128
    learning_rate: float = 0.02
    optimizer: OptimizerName = "momentum"
    schedule: Schedule = "cosine"
    # None: an epoch, or a tenth of a short run.
    warmup_epochs: float | None = None
    # Epochs over which the rate falls; None: the run's. With a number, a run stopped
    # short and resumed with more epochs takes the very steps that one long run takes.
    decay_epochs: int | None = None
    # Epochs without a better validation accuracy, after which the run ends.
    patience: int | None = None
    # Decoupled, as Keras applies it: weights shrink by rate x decay a step. The paper's
    # 0.0005 passes through a momentum of 0.9, which makes it ten times as much.
    weight_decay: float = 0.005
    loss: Loss = "sparse"
    augment: str = "paper"
    mixed_precision: bool = False
    # None: on a GPU yes, on a CPU no, where it was measured slower.
    xla: bool | None = None
    strategy: StrategyName = "auto"
    logical_cpus: int | None = None
    steps_per_execution: int = 1
    reader: Reader = "auto"
    ram_budget_bytes: int = 4 * 2**30
    seed: int = 21

    @property
    def falling_epochs(self) -> int:
        """Epochs from the run's start until the rate has fallen."""
        return self.decay_epochs or self.epochs

    @property
    def rising_epochs(self) -> float:
        """Epochs over which the rate rises before it falls."""
        if self.warmup_epochs is None:
            return min(1.0, self.falling_epochs / 10)
        return self.warmup_epochs

    @property
    def read(self) -> ReadConfig:
        """How records become global batches."""
        return ReadConfig(
            self.batch_size, self.seed, self.ram_budget_bytes, self.reader
        )

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimizer", OptimizerName),
            ("schedule", Schedule),
            ("loss", Loss),
            ("strategy", StrategyName),
            ("reader", Reader),
        ):
            require_choice(name, getattr(self, name), choices)
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            needs = f"{low:,} to {high:,}"
            require(value is None or low <= value <= high, name, value, needs)
        rate = self.learning_rate
        require(0 < rate < math.inf, "learning_rate", rate, "above 0, and finite")
        preset(self.augment)
        if self.schedule != "constant" and self.epochs > self.falling_epochs:
            raise ConfigError(
                f"epochs is {self.epochs}, but with `decay_epochs={self.decay_epochs}`"
                " the learning rate has fallen to nothing by then. Start a run with"
                f" `decay_epochs={self.epochs}`, or without it."
            )
