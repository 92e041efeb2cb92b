"""A data service on the bench: what a core of a worker makes, and how many it takes.

Beside the service that is measured, another is started here with a single worker on a
single core: its batches go the whole way, through a connection to the trainer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from alexnet.benchmarks.config import BenchConfig
from alexnet.benchmarks.measure import Deliveries, deliver, describe_rate
from alexnet.benchmarks.storage_choice import ENOUGH
from alexnet.pipeline.files import count, format_bytes
from alexnet.pipeline.read.dataset import train_dataset
from alexnet.pipeline.read.opened_records import OpenedRecords

ONE_CORE = "one worker core"
# The command, on the first of the CPUs that it may use.
ON_ONE_CORE = (
    "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    " from alexnet.cli.main import run; run()"
)


@dataclass(frozen=True)
class ServiceNeed:
    """The worker cores and the network by which a data service feeds the device."""

    address: str
    # Of one core like this machine's.
    core_images_per_second: float
    # For all that the device takes, and some to spare.
    worker_cores: int
    # Over the network, for that.
    bytes_per_second: float

    def describe(self, demand: float) -> str:
        """Say what it takes to feed the device `demand` images a second."""
        core, cores = describe_rate(self.core_images_per_second), self.worker_cores
        return (
            f"A core like this machine's makes {core} through a data service:"
            f" {count(cores, 'worker core')} feed a device that takes"
            f" {describe_rate(demand)} with {ENOUGH - 1:.0%} to spare, over a network"
            f" that carries {format_bytes(self.bytes_per_second)}/s."
        )


def service_need(
    address: str, core_images_per_second: float, demand: float, image_bytes: int
) -> ServiceNeed:
    """Return what it takes to feed a device `demand` images a second."""
    return ServiceNeed(
        address,
        core_images_per_second,
        ceil(ENOUGH * demand / core_images_per_second),
        ENOUGH * demand * image_bytes,
    )


def one_core(records: OpenedRecords, config: BenchConfig) -> Deliveries:
    """Batches that a worker on one core of this machine makes and sends."""
    with _one_core_service() as address:
        yield from deliver(train_dataset(records, config, data_service=address))


@contextmanager
def _one_core_service() -> Iterator[str]:
    """The address of a dispatcher whose one worker has one core."""
    from alexnet.pipeline.service.servers import start_dispatcher

    dispatcher = start_dispatcher(0)
    words = ("data-service", "worker", str(dispatcher.address), "--json")
    worker = subprocess.Popen(
        [sys.executable, "-c", ON_ONE_CORE, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        text=True,
    )
    try:
        yield str(dispatcher.address)
    finally:
        worker.kill()
        worker.communicate()
        dispatcher.stop()
