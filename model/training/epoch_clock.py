"""The clock of an epoch: every second of it is on one account, and none on two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Account = Literal["step", "input", "host", "validation", "saving"]


@dataclass(frozen=True)
class EpochTime:
    """Seconds by what they were spent on; their sum is all of the time."""

    # Augmentation, passes and update, and the wait for them; tracing and compiling too.
    step: float = 0.0
    # Waiting for batches while the device had nothing to do.
    input: float = 0.0
    # Python's: between steps and around epochs.
    host: float = 0.0
    validation: float = 0.0
    # States: after an epoch, and every so many minutes.
    saving: float = 0.0


class EpochClock:
    """Tells what time is spent on: on the host, where no block says otherwise."""

    def __init__(self) -> None:
        self._account: Account = "host"
        self._since = time.monotonic()
        self._seconds: dict[Account, float] = {}

    @contextmanager
    def spent_on(self, account: Account) -> Iterator[None]:
        """Put the block's time on an account; a block inside has its own."""
        before = self._turn_to(account)
        try:
            yield
        finally:
            self._turn_to(before)

    def move_to_input(self, seconds: float) -> None:
        """Take from the steps' account what they have waited for batches."""
        self._add("step", -seconds)
        self._add("input", seconds)

    def read(self) -> EpochTime:
        """Return the time so far."""
        self._turn_to(self._account)
        return EpochTime(**self._seconds)

    def reset(self) -> None:
        """Begin again at nothing."""
        self._turn_to(self._account)
        self._seconds = {}

    def _turn_to(self, account: Account) -> Account:
        """Go on with an account; return that of before."""
        before, now = self._account, time.monotonic()
        self._add(before, now - self._since)
        self._account, self._since = account, now
        return before

    def _add(self, account: Account, seconds: float) -> None:
        self._seconds[account] = self._seconds.get(account, 0.0) + seconds
