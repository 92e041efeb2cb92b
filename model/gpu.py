"""How busy the GPUs are, asked from the driver (NVML) while an epoch runs."""

from __future__ import annotations

import threading
from contextlib import suppress
from statistics import mean

SAMPLE_SECONDS = 0.5


class GpuMonitor:
    """Samples every GPU's utilisation and memory in a thread; idle without any GPU."""

    def __init__(self, num_gpus: int) -> None:
        self.num_gpus = num_gpus
        self._stop = threading.Event()
        self._busy_percent: list[float] = []
        self._used_bytes = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> GpuMonitor:
        if self.num_gpus:
            self._thread = threading.Thread(target=self._sample, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _sample(self) -> None:
        import pynvml

        # No driver library in some containers; no utilisation of a part of a GPU.
        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            indices = range(self.num_gpus)
            handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in indices]
            while not self._stop.wait(SAMPLE_SECONDS):
                for handle in handles:
                    rates = pynvml.nvmlDeviceGetUtilizationRates(handle)
                    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                    self._busy_percent.append(rates.gpu)
                    self._used_bytes = max(self._used_bytes, memory.used)
            pynvml.nvmlShutdown()

    def take(self) -> str:
        """The load since the last call: 'GPU 96 %, 3.1 GiB', or '' without samples."""
        busy, self._busy_percent = self._busy_percent, []
        used_bytes, self._used_bytes = self._used_bytes, 0
        if not busy:
            return ""
        return f"GPU {mean(busy):.0f} %, {used_bytes / 2**30:.1f} GiB"
