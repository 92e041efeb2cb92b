"""The report of a training: printed at its end, and the JSON of `fit`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.model.training.history_html import history_html

# The level of the test: how often a run at chance may be taken for a better one.
DOUBT = 0.05
# The accounts of `EpochTime`, named for people.
ACCOUNTS = {
    "step": "steps",
    "input": "waiting for input",
    "host": "Python between steps",
    "validation": "validation",
    "saving": "saving",
}


@dataclass(frozen=True)
class FitReport:
    """The report of a run: its epochs, and its speed and wait for input over all."""

    run: Path
    history: tuple[EpochRecord, ...]
    # Validation examples of each class.
    class_counts: tuple[int, ...] = ()
    # The patience that ended the run before its last epoch.
    spent_patience: int | None = None

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.history[-1]

    @property
    def best(self) -> EpochRecord | None:
        """The epoch of the best validation accuracy; None without validation."""
        return best_epoch(self.history)

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

    @property
    def seconds(self) -> dict[str, float]:
        """All seconds of all epochs, by what they were spent on: see `EpochTime`."""
        times = [asdict(epoch.time) for epoch in self.history]
        return {account: sum(time[account] for time in times) for account in times[0]}

    @property
    def time_summary(self) -> str:
        """A sentence on what the time was spent on."""
        total = sum(self.seconds.values())
        shares = [
            f"{ACCOUNTS[account]} {seconds / max(total, 1e-9):.1%}"
            for account, seconds in self.seconds.items()
        ]
        return f"{total:,.1f} s in all: {', '.join(shares)}."

    @property
    def chance_warning(self) -> str | None:
        """A warning that validation has stayed at chance, or fallen back to it."""
        best, last = self.best, self.last
        if best is None:
            return None
        limit = chance_limit(self.class_counts, len(self.history))
        largest = max(self.class_counts) / sum(self.class_counts)
        chance = (
            f"no better than naming the largest class always ({largest:.1%}), as far as"
            f" {sum(self.class_counts):,} examples can tell"
        )
        if (best.val_accuracy or 0) <= limit:
            return f"validation has stayed at chance: {chance}"
        if (last.val_accuracy or 0) <= limit:
            return f"validation fell back to chance after epoch {best.epoch}: {chance}"
        return None

    def _repr_html_(self) -> str:
        return history_html(f"run {self.run}", self.history)

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        if not self.history:  # the run holds the weights that it started from
            nothing = ("train", "validation", "best", "images_per_second")
            values = dict.fromkeys((*nothing, "input_wait_share", "seconds"))
            return {"run": str(self.run), "epochs": 0, "step": 0, **values}
        last, best = self.last, self.best
        return {
            "run": str(self.run),
            "epochs": last.epoch,
            "step": last.step,
            "train": {"loss": last.loss, "accuracy": last.accuracy},
            "validation": best and _validation(last),
            "best": best and {"epoch": best.epoch, **_validation(best)},
            "images_per_second": self.images_per_second,
            "input_wait_share": self.input_wait_share,
            "seconds": self.seconds,
        }


def _validation(epoch: EpochRecord) -> dict[str, Any]:
    return {"loss": epoch.val_loss, "accuracy": epoch.val_accuracy}


def chance_limit(class_counts: tuple[int, ...], epochs: int) -> float:
    """The accuracy up to which the best of some epochs may be chance.

    The no-information rate, which is the largest class's share, and the margin of a
    one-sided binomial test against it (as caret's confusionMatrix has it: Kuhn 2008),
    here by the normal distribution, at a level divided by the number of epochs among
    which the best was picked (Bonferroni). All right is never chance.
    """
    examples = sum(class_counts)
    rate = max(class_counts) / examples
    deviations = NormalDist().inv_cdf(1 - DOUBT / epochs)
    limit = rate + deviations * sqrt(rate * (1 - rate) / examples)
    return min(limit, 1 - 1 / examples)
