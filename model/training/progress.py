"""Progress of a training, for whoever wants to show it."""

from __future__ import annotations

from typing import Protocol

from alexnet.model.training.history import EpochRecord
from alexnet.model.training.metrics import Metrics


class Progress(Protocol):
    """Listener to a training."""

    def start(self, first_step: int, total_steps: int) -> None:
        """Hear that the run begins, or goes on, at `first_step`."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Hear now and then of the steps taken, and of the epoch's metrics so far."""

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """Hear of an epoch's end; `gpu` describes its GPUs' load, '' without any."""


class Silence(Progress):
    """Progress that nobody listens to."""
