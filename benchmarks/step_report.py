"""What `bench train-step` came to: measured figures, and what follows from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrainStepReport:
    """How fast the step is, and what the device makes of it."""

    variant: str
    batch_size: int
    image_size: int
    width: float
    augment: str
    precision: str
    xla: bool
    device: str
    images_per_second: float
    spread: float
    # Forward and backward, of convolutions and dense layers: see `training_flops`.
    step_flops: int
    # Of large square matrices in the step's precision, measured in the same run.
    matmul_flops_per_second: float
    # What the augmentation takes alone, as a share of the step's time.
    augment_share: float

    @property
    def step_seconds(self) -> float:
        """The time of a step, which takes a whole batch."""
        return self.batch_size / self.images_per_second

    @property
    def flops_per_second(self) -> float:
        """What the device computes in a second of training."""
        return self.step_flops / self.step_seconds

    @property
    def share_of_matmul(self) -> float:
        """How near that comes to what the device can compute."""
        return self.flops_per_second / self.matmul_flops_per_second

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, with what follows from them."""
        return {
            **asdict(self),
            "step_seconds": self.step_seconds,
            "flops_per_second": self.flops_per_second,
            "share_of_matmul": self.share_of_matmul,
        }
