"""The network's and the training's settings: frozen, checked when made, JSON."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any, Literal

from alexnet.pipeline.config import Preset, ReadConfig
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.setting import (
    ABOVE_0,
    BELOW_1,
    FINITE,
    MAX_COUNT,
    Config,
    require,
    setting,
)

Variant = Literal["article", "paper", "bn", "torchvision"]
OptimizerName = Literal["momentum", "sgd", "adam", "adamw", "lars", "lamb"]
Schedule = Literal["cosine", "steps", "constant"]
Loss = Literal["sparse", "one-hot"]
ClassWeights = Literal["none", "balanced"]
StrategyName = Literal["auto", "none", "mirrored", "multi-worker"]
RunOrder = Literal["best", "last", "speed", "name"]

# 227, not the paper's printed 224: 55 outputs of an 11x11 window at stride 4. With
# torchvision's two zeros on each side it is 224.
IMAGE_SIZE, TORCHVISION_SIZE = 227, 224
# The default of a setting that depends on another one.
UNSET: Any = None
# For Adam and AdamW: measured in the guide to training.
ADAM_RATE, ADAM_DECAY = 0.0003, 0.05
# For the others. Decays are decoupled, as Keras applies them: the paper's 0.0005 passes
# through a momentum of 0.9, which makes it ten times as much.
RATE, DECAY = 0.02, 0.005
# In a run folder: the architecture of a network whose function has no name.
SAVED_NETWORK = "network.json"
# Smaller images vanish in the pooling of the variants.
MIN_IMAGE_SIZE = 67
# Losing the machine costs no more than what was trained since the last saved state.
CHECKPOINT_MINUTES = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig(Config):
    """The network: a variant of AlexNet, its input's side, its classes and its width.

    With `network` it is the user's own, and the settings of a variant are left out.
    """

    variant: Variant = setting(
        "article",
        "Network: the article's, the paper's of 2012, batch-normalised, or that of"
        " torchvision's weights.",
    )
    num_classes: int = 2
    image_size: int = setting(
        UNSET,
        "Side of the images that the network takes, in pixels. Default: 227, and 224"
        " for torchvision.",
        *(1, math.inf, "1 pixel or more"),
    )
    # For small tasks and quick tries.
    width: float = setting(
        1.0,
        "Channels and units of the layers, as a multiple of the paper's.",
        *(ABOVE_0, 4, "above 0, at most 4"),
    )
    dropout: float = setting(
        0.5, "Dropout rate of the dense layers.", 0, BELOW_1, "0 to below 1"
    )
    # Filter groups in conv 2, 4 and 5 of `paper`: 2 is the paper's pair of GPUs.
    groups: int = 2
    network: str | None = setting(
        None, "Function that builds a network of your own, as MODULE:FUNCTION."
    )

    @property
    def name(self) -> str:
        """The variant, or the function that builds a network of the user's own."""
        return self.network or self.variant

    def check(self) -> None:
        """Check what depends on the variant, and what is no option."""
        if self.image_size is UNSET:
            is_torch = self.variant == "torchvision"
            side = TORCHVISION_SIZE if is_torch else IMAGE_SIZE
            object.__setattr__(self, "image_size", side)
        if self.network is not None:
            self._check_own()
        elif self.image_size < MIN_IMAGE_SIZE:
            needs = f"{MIN_IMAGE_SIZE} pixels or more: smaller ones vanish in pooling"
            require(False, "image_size", self.image_size, needs)
        require(self.num_classes >= 2, "num_classes", self.num_classes, "2 or more")
        require(self.groups in (1, 2), "groups", self.groups, "1 or 2")

    def _check_own(self) -> None:
        """Check that no setting of a variant is given beside the user's own network."""
        is_name = re.fullmatch(r"[\w.]+:[\w.]+", str(self.network)) is not None
        needs = "MODULE:FUNCTION, such as my_package.networks:build"
        known = is_name or self.network == SAVED_NETWORK
        require(known, "network", self.network, needs)
        for field in fields(self):
            if field.name in ("variant", "width", "dropout", "groups"):
                needs = "left out: `network` builds all of the network"
                value = getattr(self, field.name)
                require(value == field.default, field.name, value, needs)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(ReadConfig):
    """The settings of a training; every random draw is a function of `seed`."""

    augment: Preset = setting("paper", "Random changes to the training images.")
    # The default recipe's length; see the README's curve.
    epochs: int = setting(20, "Number of epochs of the whole run.", 0, MAX_COUNT)
    learning_rate: float = setting(
        UNSET,
        "Peak of the learning rate. Default: 0.0003 of Adam and AdamW, 0.02 of others.",
        *(ABOVE_0, FINITE, "above 0, and finite"),
    )
    # In 8 epochs of 5 400 photos AdamW learns more than momentum: see the guide.
    optimizer: OptimizerName = setting(
        "adamw",
        "SGD with momentum 0.9, plain SGD, Adam, or for large batches LARS and LAMB.",
    )
    schedule: Schedule = setting(
        "cosine", "Curve by which the learning rate falls after its warm-up."
    )
    warmup_epochs: float | None = setting(
        None,
        "Epochs over which the learning rate rises. Default: 1, or a tenth of a short"
        " run.",
        *(0, MAX_COUNT),
    )
    # With a number, a run stopped short and resumed with more epochs takes the very
    # steps that one long run takes.
    decay_epochs: int | None = setting(
        None,
        "Epochs until the learning rate has fallen. Default: all of the run.",
        *(1, MAX_COUNT),
    )
    patience: int | None = setting(
        None,
        "Epochs without a better validation accuracy after which the run ends.",
        *(1, MAX_COUNT),
    )
    weight_decay: float = setting(
        UNSET,
        "Weight decay: a step shrinks weights by rate x this. Of `lars` and `lamb`, a"
        " part of the gradient or update. Default: 0.05 of Adam and AdamW, 0.005 of"
        " others.",
        *(0, 1000),
    )
    loss: Loss = setting(
        "sparse", "Cross-entropy with class numbers, or with one-hot labels."
    )
    label_smoothing: float = setting(
        0.0, "Share of every label that all classes get evenly.", 0, 1
    )
    class_weights: ClassWeights = setting(
        "none", "Let all classes count the same, however many examples they have."
    )
    ema: float | None = setting(
        None,
        "Decay of the weights' moving average, which is validated and kept instead of"
        " the weights; 0: no average.",
        *(0, BELOW_1, "0 or more, below 1"),
    )
    clip_norm: float | None = setting(
        None,
        "Largest norm of a step's gradients, all weights' together; longer ones are"
        " shortened.",
        *(ABOVE_0, FINITE, "above 0, and finite"),
    )
    accumulate: int = setting(
        1,
        "Parts in which a device runs its images of a batch, one after the other, to"
        " save memory.",
        *(1, MAX_COUNT),
    )
    progressive_from: int | None = setting(
        None,
        "Side of the images to train on first, in pixels; it rises to `image_size` in"
        " stages of equal length, or is that from the start. AlexNet's variants only.",
        *(MIN_IMAGE_SIZE, math.inf, f"{MIN_IMAGE_SIZE} pixels or more"),
    )
    mixed_precision: bool = setting(
        False, "Compute in mixed precision: float16 on a GPU, bfloat16 on a CPU."
    )
    # On a CPU it was measured slower.
    xla: bool | None = setting(
        None, "Compile the training step with XLA. Default: on GPUs only."
    )
    strategy: StrategyName = setting(
        "auto", "Distribution strategy of tf.distribute; auto takes all GPUs."
    )
    logical_cpus: int | None = setting(
        None, "Number of devices to split the CPU into, to try a strategy.", 1, 256
    )
    init_from: str | None = setting(
        None,
        "Run, or file of weights (.keras, .safetensors, .pth, .npz), to start from.",
    )
    freeze: tuple[str, ...] = setting(
        (), "Layers whose weights stay as they are, such as conv1 conv2."
    )
    # A tenth for what was learned before, as R-CNN (Girshick 2014, section 2.3) and
    # Caffe's flickr_style, which both fine-tuned an AlexNet.
    kept_rate: float = setting(
        0.1,
        "Learning rate of weights from `init_from`: a multiple of that of others.",
        0,
        1000,
    )
    steps_per_execution: int = setting(
        1, "Training steps between two returns to Python.", 1, MAX_COUNT
    )

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

    def check(self) -> None:
        """Check the epochs, the parts of a batch, and that the rate lasts the run."""
        is_adam = self.optimizer in ("adam", "adamw")
        if self.learning_rate is UNSET:
            rate = ADAM_RATE if is_adam else RATE
            object.__setattr__(self, "learning_rate", rate)
        if self.weight_decay is UNSET:
            decay = ADAM_DECAY if is_adam else DECAY
            object.__setattr__(self, "weight_decay", decay)
        if self.init_from is None:
            # Without training, a run holds the weights that it was given.
            needs = f"1 to {MAX_COUNT:,}, or `init_from`"
            require(self.epochs > 0, "epochs", self.epochs, needs)
        needs = f"a multiple of `accumulate={self.accumulate}`"
        is_even = self.batch_size % self.accumulate == 0
        require(is_even, "batch_size", self.batch_size, needs)
        if self.schedule != "constant" and self.epochs > self.falling_epochs:
            raise ConfigError(
                f"epochs is {self.epochs}, but with `decay_epochs={self.decay_epochs}`"
                " the learning rate has fallen to nothing by then. Start a run with"
                f" `decay_epochs={self.epochs}`, or without it."
            )


# Where other dataclasses and commands take their defaults.
NETWORK, TRAIN = NetworkConfig(), TrainConfig()
