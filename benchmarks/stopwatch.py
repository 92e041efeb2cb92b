"""Measures one timing after the other, for the same time each, and says which."""

from __future__ import annotations

from collections.abc import Callable

from alexnet.benchmarks.measure import Measurement, Timing, measure, wait_for_devices

# Called with what is timed next, how many timings are done, and how many there are.
Progress = Callable[[str, int, int], None]


class Stopwatch:
    """The clock of one run of a bench."""

    def __init__(self, seconds: float, total: int, progress: Progress) -> None:
        self.seconds, self._total, self._progress = seconds, total, progress
        self._done = 0

    def announce(self, name: str) -> None:
        """Say what is timed next."""
        self._progress(name, self._done, self._total)
        self._done += 1

    def time(
        self, timing: Timing, look: Callable[[], None] = lambda: None
    ) -> Measurement:
        """Its throughput; `look` is called while it runs, at the end of each window."""

        def settle() -> None:
            wait_for_devices()
            look()

        self.announce(timing.name)
        return measure(timing.start(), self.seconds, settle)
