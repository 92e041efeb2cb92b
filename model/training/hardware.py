"""The machine a run trains on: devices, strategy, precision, XLA.

Everything that has to be decided before TensorFlow touches a device.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import TrainConfig
from alexnet.model.training.cluster import EXAMPLE, Cluster, find_cluster
from alexnet.pipeline.errors import ConfigError, RunError
from alexnet.pipeline.files import count
from alexnet.pipeline.machine import cpu_model, num_cpus


@dataclass(frozen=True)
class Hardware:
    """The hardware of a run; for `none`, `strategy` is TensorFlow's default one."""

    strategy: tf.distribute.Strategy
    kind: str
    num_gpus: int
    policy: str
    xla: bool
    is_chief: bool

    @property
    def num_replicas(self) -> int:
        """Copies of the network that share a global batch."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def copy_device(self) -> str | None:
        """The device tf.data copies batches to ahead; strategies do it themselves."""
        return "/GPU:0" if self.num_gpus and self.kind == "none" else None

    @property
    def machine(self) -> dict[str, str]:
        """A description of the machine and of what a run uses of it, by name."""
        gpus = tf.config.list_physical_devices("GPU")
        details = map(tf.config.experimental.get_device_details, gpus)
        names = [str(gpu.get("device_name", "GPU")) for gpu in details]
        return {
            "host": platform.node(),
            "cpu": f"{cpu_model() or platform.machine()}, {count(num_cpus(), 'CPU')}",
            "gpu": ", ".join(names) or "none",
            "computes on": self.describe(),
        }

    def describe(self) -> str:
        """One line for people."""
        device = f"{self.num_gpus} GPU" if self.num_gpus else "CPU"
        xla = "XLA" if self.xla else "no XLA"
        return (
            f"{device}, strategy {self.kind}, {count(self.num_replicas, 'replica')},"
            f" {self.policy}, {xla}"
        )


def set_up_hardware(config: TrainConfig) -> Hardware:
    """Choose devices and strategy, and set the global precision policy.

    Call it once, before anything else uses TensorFlow.

    Raises:
        ConfigError: the strategy does not fit the machine.
    """
    cluster = cluster_to_join(config)
    gpus = enable_memory_growth()
    if config.logical_cpus is not None:
        _split_cpu(config.logical_cpus)
    kind = "multi-worker" if cluster else _choose(config, len(gpus))
    strategy = _make_strategy(kind, bool(gpus))
    half = "mixed_float16" if gpus else "mixed_bfloat16"
    policy = half if config.mixed_precision else "float32"
    keras.mixed_precision.set_global_policy(policy)
    # Measured on a CPU: 26 images/s with XLA, 47 without.
    xla = bool(gpus) if config.xla is None else config.xla
    is_chief = cluster is None or cluster.is_chief
    return Hardware(strategy, kind, len(gpus), policy, xla, is_chief)


def cluster_to_join(config: TrainConfig) -> Cluster | None:
    """The cluster that a run trains in; None where it trains alone.

    Raises:
        ConfigError: TF_CONFIG makes no sense, or is not there and has to be.
    """
    cluster = find_cluster()
    if config.strategy == "multi-worker" and not cluster.jobs:
        raise ConfigError(
            "`strategy='multi-worker'` needs TF_CONFIG in the environment of every"
            f" process, such as {EXAMPLE}"
        )
    is_joined = cluster.jobs and config.strategy in ("auto", "multi-worker")
    return cluster if is_joined else None


def enable_memory_growth() -> list[tf.config.PhysicalDevice]:
    """Enable memory growth on every GPU, so that not all is taken; return the GPUs."""
    gpus: list[tf.config.PhysicalDevice] = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with suppress(RuntimeError):  # this process uses it already
            tf.config.experimental.set_memory_growth(gpu, True)
    return gpus


def hide_gpus() -> None:
    """Leave the GPUs and their memory to others; for commands that need none."""
    with suppress(RuntimeError):  # this process uses them already
        tf.config.set_visible_devices([], "GPU")


def _split_cpu(num_cpus: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * num_cpus
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        # Another run in this process has split it before; that is fine if it agrees.
        if len(tf.config.list_logical_devices("CPU")) != num_cpus:
            raise RunError(f"the CPU cannot be split any more: {error}") from error


def _choose(config: TrainConfig, num_gpus: int) -> str:
    if config.strategy != "auto":
        return config.strategy
    return "mirrored" if num_gpus > 1 or (config.logical_cpus or 1) > 1 else "none"


def _make_strategy(kind: str, on_gpu: bool) -> tf.distribute.Strategy:
    if kind == "mirrored":
        devices = tf.config.list_logical_devices("GPU" if on_gpu else "CPU")
        return _mirrored(tuple(device.name for device in devices))
    return _multi_worker() if kind == "multi-worker" else tf.distribute.get_strategy()


# One for all runs of a process: each strategy counts its collective operations from the
# same number, and TensorFlow takes a second one's for the first one's, of other shapes.
@cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


@cache
def _multi_worker() -> tf.distribute.Strategy:
    return tf.distribute.MultiWorkerMirroredStrategy()
