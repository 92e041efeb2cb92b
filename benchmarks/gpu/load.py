"""The first GPU's load over time, asked from its driver (NVML) in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

# The driver renews its figure every sixth of a second to every second
# (nvmlDeviceGetUtilizationRates).
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Sample:
    """The share of the last moments in which a kernel ran, and the memory in use.

    `busy_percent` is None where the driver does not tell, as of a part of a GPU.
    """

    seconds: float
    busy_percent: int | None
    used_bytes: int


class LoadWatch:
    """Takes samples while it is entered; none where no driver answers."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._samples: list[Sample] = []
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> LoadWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def take(self) -> list[Sample]:
        """The samples since the last call; their seconds begin there."""
        found, self._samples = self._samples, []
        self._began = time.perf_counter()
        return found

    def _watch(self) -> None:
        import pynvml

        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
            while not self._stop.wait(SAMPLE_SECONDS):
                memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
                seconds = time.perf_counter() - self._began
                self._samples.append(Sample(seconds, _busy_percent(gpu), memory.used))
            pynvml.nvmlShutdown()


def _busy_percent(gpu: Any) -> int | None:
    import pynvml

    try:
        return int(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
    except pynvml.NVMLError:
        return None


def summarize(samples: Sequence[Sample]) -> dict[str, float | None]:
    """Mean share of the time in which a kernel ran, most memory in use; or None."""
    busy = [s.busy_percent for s in samples if s.busy_percent is not None]
    return {
        "busy_percent": mean(busy) if busy else None,
        "used_bytes": max((s.used_bytes for s in samples), default=None),
    }


def to_json(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The samples as plain JSON values."""
    return [asdict(sample) for sample in samples]
