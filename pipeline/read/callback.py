"""Python functions that tf.data calls, and the lifetime of what they read from.

TensorFlow never lets go of a function that it was given: it belongs to the graph of
the whole process. So it is given one that refers weakly to what it calls, and a tensor
beside it that keeps that alive. The tensor goes with the last dataset or iterator that
holds it, and not before a call that is under way returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

import numpy as np
import tensorflow as tf

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.read.calls import call_python
from alexnet.pipeline.read.decode import ALIGNMENT_BYTES, empty_batch
from alexnet.pipeline.records.storage import STORAGES, Storage


class OwningArray(np.ndarray):
    """An array that keeps an object alive."""

    owner: object


def lease(owner: object) -> tf.Tensor:
    """A tensor of no meaning that keeps `owner` alive for as long as it is held.

    `owner` must not hold it in turn: no garbage collection sees through a tensor.
    """
    array = empty_batch((ALIGNMENT_BYTES,)).view(OwningArray)
    array.owner = owner
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def fetch_outside(
    decode: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    rows: tf.Tensor,
    config: BuildConfig,
    *lent: tf.Tensor,
    storage: Storage | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """A uint8 batch and int64 labels of rows, int [batch], by a Python method.

    Args:
        decode: a method of the object that `lent`, its leases, keep alive.
        storage: what decodes an image, and to what shape; by default the config's.
    """
    method = WeakMethod(decode)

    def call(rows: np.ndarray, *_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        alive = method()
        if alive is None:
            raise ReferenceError("the rows were fetched without their lease")
        return alive(rows)

    images, labels = call_python(call, [rows, *lent], [tf.uint8, tf.int64])
    shape = (storage or STORAGES[config.storage]).image_shape(config.side)
    images = tf.ensure_shape(images, [*rows.shape, *shape])
    return images, tf.ensure_shape(labels, rows.shape)


def once_true(
    method: Callable[..., bool], lent: tf.Tensor, *arguments: tf.Tensor
) -> tf.data.Dataset:
    """A single element, bool [], as soon as a Python method has returned True.

    The method is called until it does, and must not wait for long itself: whoever drops
    an iterator, in whichever thread Python collects its garbage, waits for a call that
    is under way. Between two calls TensorFlow sees that the iterator was dropped.

    Args:
        method: a method of the object that `lent`, its lease, keeps alive.
    """
    asked = tf.data.Dataset.from_tensors((lent, *arguments)).repeat()
    answers = asked.map(lambda lent, *arguments: _call(method, lent, *arguments))
    return answers.filter(lambda answer: answer).take(1)


def after_call(
    value: Any, method: Callable[..., None], lent: tf.Tensor, *arguments: tf.Tensor
) -> Any:
    """`value`, nested tensors, once a Python method was called with the arguments.

    Args:
        method: a method of the object that `lent`, its lease, keeps alive.
    """
    with tf.control_dependencies([_call(method, lent, *arguments)]):
        return tf.nest.map_structure(tf.identity, value)


def _call(
    method: Callable[..., bool | None], lent: tf.Tensor, *arguments: tf.Tensor
) -> tf.Tensor:
    """Call a method of what `lent` keeps alive; return its answer, bool []."""
    weak = WeakMethod(method)

    def call(_: np.ndarray, *arguments: np.ndarray) -> bool:
        alive = weak()
        if alive is None:
            raise ReferenceError("a method was called without its lease")
        return bool(alive(*arguments))

    answer = call_python(call, [lent, *arguments], tf.bool, is_stateful=True)
    return tf.ensure_shape(answer, [])
