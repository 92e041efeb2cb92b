"""Progress of a training below a notebook's cell: a bar, and the figures so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.model.training.progress import Progress
from alexnet.pipeline.notebook_bar import NotebookBar, in_notebook

if TYPE_CHECKING:
    from alexnet.model.training.history import EpochRecord
    from alexnet.model.training.metrics import Metrics


class NotebookProgress(Progress):
    """A bar of the run's steps, the epoch's metrics and the last validation."""

    def __init__(self) -> None:
        self.bar = NotebookBar("training", "steps")
        self._total = 0
        self._is_warm = False
        self._validated = ""

    def start(self, first_step: int, total_steps: int) -> None:
        """Draw the bar at `first_step`."""
        self._total = total_steps
        self.bar.show(first_step, total_steps)

    def step(self, step: int, metrics: Metrics) -> None:
        """Show the steps so far; the first was spent on tracing and compiling."""
        if not self._is_warm:
            self._is_warm = True
            self.bar.pace.start(step)
        note = f"loss {metrics.loss:.3f}, accuracy {metrics.accuracy:.3f}"
        self.bar.show(step, self._total, note + self._validated)

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """Keep what an epoch's validation gave, to be shown from now on."""
        if record.val_accuracy is not None:
            self._validated = (
                f"; validation accuracy {record.val_accuracy:.3f}, epoch {record.epoch}"
            )
        note = f"loss {record.loss:.3f}, accuracy {record.accuracy:.3f}"
        self.bar.show(record.step, self._total, note + self._validated)


def default_progress() -> Progress:
    """Return what shows a training in a notebook, and nothing elsewhere."""
    return NotebookProgress() if in_notebook() else Progress()
