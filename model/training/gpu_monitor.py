"""The load of the GPUs, asked from the driver (NVML) while something runs on them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import mean
from typing import Any

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Sample:
    """Mean utilisation of the GPUs, and the memory in use on the fullest one.

    Utilisation is the share of the last moments in which a kernel ran;
    `busy_percent` is None where the driver does not tell, as of a part of a GPU.
    """

    seconds: float
    busy_percent: float | None
    used_bytes: int


@dataclass(frozen=True)
class Load:
    """The load over samples: mean utilisation, most memory; None where unknown."""

    busy_percent: float | None
    used_bytes: int | None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Load:
        """The load over all of `samples`."""
        busy = [s.busy_percent for s in samples if s.busy_percent is not None]
        used_bytes = max((s.used_bytes for s in samples), default=None)
        return cls(mean(busy) if busy else None, used_bytes)

    def describe(self) -> str:
        """Describe it for people, as 'GPU 96 %, 3.1 GiB'; '' where nothing is known."""
        if self.used_bytes is None:
            return ""
        busy = "" if self.busy_percent is None else f" {self.busy_percent:.0f} %,"
        return f"GPU{busy} {self.used_bytes / 2**30:.1f} GiB"


class GpuMonitor:
    """A thread that samples the load during a block; idle without any GPU."""

    def __init__(self, num_gpus: int, sample_seconds: float = SAMPLE_SECONDS) -> None:
        self.num_gpus = num_gpus
        self.sample_seconds = sample_seconds
        self._stop = threading.Event()
        self._samples: list[Sample] = []
        self._began = time.perf_counter()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> GpuMonitor:
        if self.num_gpus:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def take(self) -> list[Sample]:
        """The samples since the last call; their seconds begin there."""
        found, self._samples = self._samples, []
        self._began = time.perf_counter()
        return found

    def _watch(self) -> None:
        import pynvml

        with suppress(pynvml.NVMLError):  # no driver library in some containers
            pynvml.nvmlInit()
            gpus = [_gpu(name) for name in visible_gpus(self.num_gpus)]
            while not self._stop.wait(self.sample_seconds):
                seconds = time.perf_counter() - self._began
                self._samples.append(_sample(gpus, seconds))
            pynvml.nvmlShutdown()


def visible_gpus(num_gpus: int) -> list[str]:
    """Name the GPUs that TensorFlow uses, by number or UUID.

    NVML counts all GPUs of the machine, whatever CUDA_VISIBLE_DEVICES leaves of them.
    On a machine of unlike GPUs CUDA counts the fastest first, and NVML by the bus,
    unless CUDA_DEVICE_ORDER is PCI_BUS_ID.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(" ", "").split(",")
    return (names if names[0] else list(map(str, range(num_gpus))))[:num_gpus]


def _gpu(name: str) -> Any:
    import pynvml

    if name.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(name))
    return pynvml.nvmlDeviceGetHandleByUUID(name)


def _sample(gpus: Sequence[Any], seconds: float) -> Sample:
    import pynvml

    busy = None
    with suppress(pynvml.NVMLError):
        busy = mean(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu for gpu in gpus)
    used_bytes = max(pynvml.nvmlDeviceGetMemoryInfo(gpu).used for gpu in gpus)
    return Sample(seconds, busy, used_bytes)
