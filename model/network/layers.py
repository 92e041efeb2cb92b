"""The four layers Keras has not, or not the way AlexNet needs them.

They sit in the network between the augmented batch and the logits. A network built of
them is rebuilt from its NetworkConfig; only plain weights are saved.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow import keras

from alexnet.pipeline.augment.device import HOST


@keras.utils.register_keras_serializable(package="alexnet")
class LocalResponseNorm(keras.layers.Layer):
    """Divides each activation by the energy of its neighbours among the channels."""

    # Krizhevsky 2012, section 3.3: n = 5 (two neighbours on each side), k = 2,
    # alpha = 1e-4, beta = 0.75; TensorFlow's alpha multiplies the plain sum, as theirs.
    radius, bias, alpha, beta = 2, 2.0, 1e-4, 0.75

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The inputs normalised, float [batch, height, width, channels], same type."""
        # Half precision has no GPU kernel and no XLA lowering, and squares overflow.
        normed = tf.nn.lrn(
            tf.cast(inputs, tf.float32), self.radius, self.bias, self.alpha, self.beta
        )
        return tf.cast(normed, inputs.dtype)


@keras.utils.register_keras_serializable(package="alexnet")
class GroupedConv2D(keras.layers.Conv2D):
    """Conv2D whose filter groups are convolved one by one; its weights are Keras's.

    Keras hands grouped convolutions to XLA, which took 4.5 times as long on a CPU.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The activations, float [batch, height, width, filters]."""
        parts = zip(
            tf.split(inputs, self.groups, axis=-1),
            tf.split(self.kernel, self.groups, axis=-1),
            strict=True,
        )
        outputs = tf.concat([self.convolution_op(x, k) for x, k in parts], axis=-1)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return self.activation(outputs)


def pooling_windows(size: int, count: int) -> list[tuple[int, int]]:
    """Starts and ends of the windows of PyTorch's adaptive pooling.

    They cover `size` places evenly, and overlap where it is no multiple of `count`.
    """
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


@keras.utils.register_keras_serializable(package="alexnet")
class AdaptiveAveragePool(keras.layers.Layer):
    """PyTorch's AdaptiveAvgPool2d: averages of evenly spread windows."""

    def __init__(self, side: int, **options: Any) -> None:
        """`side` is that of the map it returns, whatever it gets."""
        super().__init__(**options)
        self.side = side

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The averages, float [batch, side, side, channels]."""
        for axis in (1, 2):
            if inputs.shape[axis] != self.side:
                inputs = self._pool(inputs, axis)
        return inputs

    def _pool(self, inputs: tf.Tensor, axis: int) -> tf.Tensor:
        places = pooling_windows(inputs.shape[axis], self.side)
        windows = [tf.gather(inputs, range(*place), axis=axis) for place in places]
        averages = [tf.reduce_mean(window, axis, keepdims=True) for window in windows]
        return tf.concat(averages, axis)

    def get_config(self) -> dict[str, Any]:
        """Keras's settings of the layer and its side."""
        return {**super().get_config(), "side": self.side}


class _Position(NamedTuple):
    seed: int
    step: tf.Tensor | int
    first_row: tf.Tensor | int
    total_rows: int


_position: ContextVar[_Position | None] = ContextVar("batch_position", default=None)


@contextmanager
def batch_position(
    seed: int,
    step: tf.Tensor | int,
    first_row: tf.Tensor | int,
    total_rows: int,
) -> Iterator[None]:
    """Tells the Dropout layers called inside where their rows lie in the global batch.

    It is read while a function is traced, in the thread that traces it: enter it in the
    function a replica runs, around the network's call, with `step` (any integer) and
    `first_row` (this replica's first row) as that function's own tensors.
    """
    token = _position.set(_Position(seed, step, first_row, total_rows))
    try:
        yield
    finally:
        _position.reset(token)


def _uniform(key: int, step: tf.Tensor | int, shape: list[int]) -> tf.Tensor:
    """Numbers in [0, 1], float32, the same on every device and under XLA."""
    with tf.device(HOST):  # where TensorFlow reads seeds
        seed = tf.stack([tf.constant(key, tf.int64), tf.cast(step, tf.int64)])
    bits = tf.random.stateless_uniform(
        shape,
        seed=seed,
        # Of the same bits XLA makes other floats than TensorFlow, so take the bits.
        minval=None,
        maxval=None,
        dtype=tf.int32,
        # The default picks an algorithm by device.
        alg="philox",
    )
    return tf.cast(bits, tf.float32) * 2.0**-32 + 0.5


@keras.utils.register_keras_serializable(package="alexnet")
class Dropout(keras.layers.Dropout):
    """Keras's Dropout with a mask that is a pure function of (seed, step, global row).

    A resumed run and a run on another number of replicas drop the same units. Outside
    of a `batch_position` it is plain Keras Dropout.
    """

    def __init__(self, rate: float, salt: int, **options: Any) -> None:
        """`salt` sets this layer's masks apart from those of the network's others."""
        super().__init__(rate, **options)
        self.salt = salt

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The inputs, a share of `rate` zeroed and the rest scaled up in training."""
        position = _position.get()
        if not training or not self.rate or position is None:
            return super().call(inputs, training=training)
        kept = self._draws(inputs, position) >= self.rate
        return tf.where(kept, inputs / (1 - self.rate), tf.zeros_like(inputs))

    def _draws(self, inputs: tf.Tensor, position: _Position) -> tf.Tensor:
        """This replica's rows of the global batch's draws, float32 in [0, 1]."""
        rest = inputs.shape.as_list()[1:]
        # XLA reads 32 bits of a seed, plain TensorFlow 64: stay where both agree.
        key = zlib.crc32(f"{position.seed} {self.salt}".encode())
        draws = _uniform(key, position.step, [position.total_rows, *rest])
        begin = tf.stack([tf.cast(position.first_row, tf.int32), *[0] * len(rest)])
        # A slice of static size, for XLA's sake, at a place known only when it runs.
        return tf.slice(draws, begin, [inputs.shape[0] or tf.shape(inputs)[0], *rest])

    def get_config(self) -> dict[str, Any]:
        """Keras's settings of the layer and its salt."""
        return {**super().get_config(), "salt": self.salt}
