"""The pace of a job that is shown while it runs: items a second, and the time left."""

from __future__ import annotations

import time


class Pace:
    """The pace since a job's start, whatever was done before it."""

    def __init__(self, unit: str) -> None:
        """Take a unit, in the plural where it has one: 'images', 'MiB'."""
        self.unit, self.singular = unit, unit.removesuffix("s")
        # Done at the start; None before it.
        self.first: int | None = None
        self._started = time.monotonic()

    def start(self, done: int) -> None:
        """Count rates from here."""
        self.first, self._started = done, time.monotonic()

    def describe(self, done: int, total: int) -> str:
        """Return '1,000 of 4,000 images, 50 images/s, 60 s left'."""
        parts = [f"{done:,} of {total:,} {self.singular if total == 1 else self.unit}"]
        rate = self._rate(done)
        if rate:
            parts.append(self.describe_rate(done))
            parts.append(f"{(total - done) / rate:,.0f} s left")
        return ", ".join(parts)

    def describe_rate(self, done: int) -> str:
        """Return '52 steps/s', '1.4 steps/s' or '3.2 s/step'; '' before the first."""
        rate = self._rate(done)
        if not rate:
            return ""
        if rate < 1:
            return f"{1 / rate:,.1f} s/{self.singular}"
        return f"{rate:,.{0 if rate >= 10 else 1}f} {self.unit}/s"

    def _rate(self, done: int) -> float:
        seconds = time.monotonic() - self._started
        return (done - (self.first or 0)) / seconds if seconds else 0.0
