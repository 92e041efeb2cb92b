"""What a bench's figures depend on: its settings, the machine, the versions.

Reports of other settings say nothing of each other. Those of another machine or other
versions do, which is then told beside them.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

from alexnet.benchmarks.machine import read_processor
from alexnet.pipeline.config import StorageName


@dataclass(frozen=True)
class BenchSettings:
    """What has to agree of two reports; the names are those of their JSON."""

    storage: StorageName
    side: int
    resize: str
    # Of `jpeg` records; others hold pixels, or files as they were.
    quality: int | None
    reader: str
    batch_size: int
    ram_budget_bytes: int
    augment: str
    image_size: int
    # What the device computes in, by Keras's name.
    precision: str


@dataclass(frozen=True)
class Host:
    """The machine that was measured; `cpus` are those that this process may use."""

    name: str
    cpu: str
    cpus: int
    gpus: tuple[str, ...]


def read_host() -> Host:
    """This machine, and the GPUs that TensorFlow uses on it."""
    processor = read_processor()
    cpu = processor.model or platform.machine()
    return Host(platform.node(), cpu, processor.usable_cpus, gpu_names())


def gpu_names() -> tuple[str, ...]:
    """The names of the GPUs that TensorFlow uses."""
    import tensorflow as tf

    return tuple(
        str(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
        for gpu in tf.config.list_physical_devices("GPU")
    )
