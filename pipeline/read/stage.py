"""The host's part of the path as a list of named stages, and the dataset they make.

Training composes all of them, the bench times prefixes of the same list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf

from alexnet.pipeline.machine import num_cpus

FOREVER = 2**62


@dataclass(frozen=True)
class Epoch:
    """An epoch's number, int64 [], and that of the first batch that is wanted of it."""

    number: tf.Tensor
    first_batch: tf.Tensor


@dataclass(frozen=True)
class EpochStage:
    """A step that begins anew with every epoch.

    The first one is given a dataset of the epoch's number alone, later ones what the
    step before made. The one that makes batches leaves out those before the first that
    is wanted.
    """

    name: str
    apply: Callable[[tf.data.Dataset, Epoch], tf.data.Dataset]


@dataclass(frozen=True)
class WholeStage:
    """A step on what the epochs make one after another, without end."""

    name: str
    apply: Callable[[tf.data.Dataset], tf.data.Dataset]


@dataclass(frozen=True)
class RemoteStage:
    """A step that other processes take, which are only told where to begin.

    It is given what the steps before it make, the first epoch, and its first batch.
    """

    name: str
    apply: Callable[[tf.data.Dataset, int, int], tf.data.Dataset]


Stage: TypeAlias = EpochStage | WholeStage | RemoteStage


def compose(
    stages: Sequence[Stage], first_epoch: int = 0, first_batch: int = 0
) -> tf.data.Dataset:
    """The dataset the stages make, epoch after epoch without end.

    `stages` may be any prefix of `train_stages`. The first epoch begins with one of its
    batches; those before it are left out before anything is decoded.
    """

    # It has no branch on a tensor, and AutoGraph takes longer than tracing.
    @tf.autograph.experimental.do_not_convert
    def one_epoch(number: tf.Tensor) -> tf.data.Dataset:
        is_first = tf.cast(number == first_epoch, tf.int64)
        epoch = Epoch(number, first_batch * is_first)
        dataset = tf.data.Dataset.from_tensors(number)
        for stage in stages:
            if isinstance(stage, EpochStage):
                dataset = stage.apply(dataset, epoch)
        return dataset

    dataset = tf.data.Dataset.range(first_epoch, FOREVER).flat_map(one_epoch)
    # Before the other stages: nothing may follow a copy to a device.
    dataset = dataset.with_options(host_options())
    for stage in stages:
        if isinstance(stage, RemoteStage):
            dataset = stage.apply(dataset, first_epoch, first_batch)
            dataset = dataset.with_options(host_options())
        elif isinstance(stage, WholeStage):
            dataset = stage.apply(dataset)
    return dataset


def host_options() -> tf.data.Options:
    """Return the options of a dataset on the host: its optimizations and threads."""
    options = tf.data.Options()
    options.deterministic = True
    # They gain nothing here, and turn captured tensors into constants: into copies.
    options.experimental_optimization.apply_default_optimizations = False
    # It would add a stage of TensorFlow's own to every prefix that is timed.
    options.experimental_optimization.inject_prefetch = False
    # Parallelism is across images: threads inside one image's ops only get in its way.
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = num_cpus()
    return options
