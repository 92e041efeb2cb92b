"""Pauses between steps: a look at the loss, a state to save, a signal to stop.

Looking waits for the device, so it is done now and then and not after every step.
"""

from __future__ import annotations

import time

from alexnet.model.training.checkpoints import Checkpoints, divergence_error
from alexnet.model.training.epoch_clock import EpochClock
from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.multi_worker import Agreement, Wishes, part
from alexnet.model.training.progress import Progress
from alexnet.model.training.signals import StopSignals

LOOK_SECONDS = 0.25


class Pauses:
    """Shows progress, ends a diverged run, and saves states.

    A state is saved after every epoch, every so many minutes, and when the process is
    asked to stop.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        steps_per_epoch: int,
        minutes: float,
        signals: StopSignals,
        agree: Agreement,
        progress: Progress,
        clock: EpochClock,
    ) -> None:
        """`agree` combines the wishes of all workers."""
        self._checkpoints, self._steps_per_epoch = checkpoints, steps_per_epoch
        self._save_seconds, self._signals = 60 * minutes, signals
        self._agree, self._progress, self._clock = agree, progress, clock
        self._looked_at = float("-inf")  # the first step is shown
        self._looked_step, self._next_ask = 0, 0.0
        self._saved_at = time.monotonic()

    def after_steps(self, step: int) -> bool:
        """Pause if any worker wishes to; return whether the device was waited for.

        Raises:
            RunError: the run has diverged.
            KeyboardInterrupt: a signal asked for it; the state is saved.
        """
        wishes = self._ask(step) if step >= self._next_ask else Wishes()
        epoch, steps_of_epoch = divmod(step, self._steps_per_epoch)
        pauses = wishes.look or wishes.save or wishes.stop or steps_of_epoch == 0
        if not pauses:
            return False
        metrics = self._require_sound(step)
        # A whole epoch is validated first.
        if steps_of_epoch and (wishes.save or wishes.stop):
            self._save(step, epoch)
            if wishes.stop:
                self._agree(Wishes())  # wait for the chief: it alone writes a state
                self._stop()
        self._progress.step(step, metrics)
        self._looked_at, self._looked_step = time.monotonic(), step
        return True

    def _ask(self, step: int) -> Wishes:
        """Return the wishes of any worker; all of them ask after the same steps."""
        now = time.monotonic()
        seconds = max(now - self._looked_at, 1e-9)
        wishes = self._agree(
            Wishes(
                look=seconds >= LOOK_SECONDS,
                save=now - self._saved_at >= self._save_seconds,
                stop=self._signals.received is not None,
                steps=LOOK_SECONDS * (step - self._looked_step) / seconds,
            )
        )
        self._next_ask = step + wishes.steps
        return wishes

    def after_epoch(self, history: list[EpochRecord]) -> None:
        """Save the state of the history's last epoch, and its network if it is best.

        The best has the highest validation accuracy; without validation there is none.

        Raises:
            KeyboardInterrupt: a signal asked for it; the state is saved.
        """
        record = history[-1]
        self._save(record.step, record.epoch, best_epoch(history) is record)
        if self._agree(Wishes(stop=self._signals.received is not None)).stop:
            self._stop()

    def _stop(self) -> None:
        part(self._agree)
        self._signals.stop()

    def _require_sound(self, step: int) -> Metrics:
        """The epoch's metrics so far, for which the device is waited for.

        Raises:
            RunError: its mean loss is no number or hopeless, as one bad step makes it.
        """
        classifier, run = self._checkpoints.classifier, self._checkpoints.run
        with self._clock.spent_on("step"):
            metrics = classifier.metrics.read()
        epoch_start = (step - 1) // self._steps_per_epoch * self._steps_per_epoch
        if metrics.sound_steps < step - epoch_start:
            bad_step = epoch_start + metrics.sound_steps + 1
            rate = float(classifier.optimizer.learning_rate(bad_step - 1))
            what = f"the loss is {metrics.loss:g}, at a learning rate of {rate:g},"
            raise divergence_error(run, bad_step, what)
        return metrics

    def _save(self, step: int, epoch: int, is_best: bool = False) -> None:
        with self._clock.spent_on("saving"):
            self._checkpoints.save(step, epoch, is_best)
        self._saved_at = time.monotonic()
