"""Progress of a training, for whoever wants to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.model.training.cluster import Cluster
    from alexnet.model.training.hardware import Hardware
    from alexnet.model.training.history import EpochRecord
    from alexnet.model.training.metrics import Metrics
    from alexnet.model.training.plan import TrainPlan
    from alexnet.model.training.run import RunFolder
    from alexnet.model.training.run_config import InitialWeights


class Progress:
    """Listener to a training; this one shows nothing."""

    def join(self, cluster: Cluster) -> None:
        """Hear that the run waits for all workers of a cluster."""

    def plan(self, plan: TrainPlan, hardware: Hardware) -> None:
        """Hear what will be trained, and on what."""

    def unseen(self, run: RunFolder) -> None:
        """Hear that the chief writes the run in a folder that this worker has not."""

    def initial(self, source: str, weights: InitialWeights) -> None:
        """Hear that the run starts from the weights in `source`."""

    def start(self, first_step: int, total_steps: int) -> None:
        """Hear that the run begins, or goes on, at `first_step`."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Hear now and then of the steps taken, and of the epoch's metrics so far."""

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """Hear of an epoch's end; `gpu` describes its GPUs' load, '' without any."""
