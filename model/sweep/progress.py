"""Listeners to a sweep, which show how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.model.sweep.report import TrialReport


class SweepProgress:
    """Listener to a sweep; this one shows nothing."""

    def ended(self, trial: TrialReport, num_ended: int, num_trials: int) -> None:
        """Hear that a trial has ended, here."""

    def waiting(self, num_trials: int) -> None:
        """Hear that other processes train all that is left."""
