"""What a training has reached: printed at its end, and the JSON of `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.history import EpochRecord


@dataclass(frozen=True)
class FitReport:
    """What a run has reached; its last epoch's figures, and how input fared in all."""

    run: Path
    history: tuple[EpochRecord, ...]

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.history[-1]

    @property
    def images_per_second(self) -> float:
        """Training speed over all epochs."""
        images = sum(epoch.images_per_second * epoch.seconds for epoch in self.history)
        return images / sum(epoch.seconds for epoch in self.history)

    @property
    def input_wait_share(self) -> float:
        """Share of the training time spent waiting for batches, over all epochs."""
        waited = sum(epoch.input_wait_share * epoch.seconds for epoch in self.history)
        return waited / sum(epoch.seconds for epoch in self.history)

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        last = self.last
        validation = None
        if last.val_loss is not None:
            validation = {"loss": last.val_loss, "accuracy": last.val_accuracy}
        return {
            "run": str(self.run),
            "epochs": last.epoch,
            "step": last.step,
            "train": {"loss": last.loss, "accuracy": last.accuracy},
            "validation": validation,
            "images_per_second": self.images_per_second,
            "input_wait_share": self.input_wait_share,
        }
