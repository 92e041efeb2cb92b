"""The layers against NumPy, split-and-concat, and themselves cut into replicas."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.network.layers import (
    Dropout,
    GroupedConv2D,
    LocalResponseNorm,
    batch_position,
)
from tests.conftest import slow

# Half an ulp of each type at 1, and room for a few roundings.
TOLERANCE = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}
POLICY = {
    "float32": "float32",
    "float16": "mixed_float16",
    "bfloat16": "mixed_bfloat16",
}
dtypes = pytest.mark.parametrize("dtype", list(POLICY))
jits = pytest.mark.parametrize(
    "jit", [None, False, True], ids=["eager", "graph", "xla"]
)


def compiled(function: Any, jit: Any) -> Any:
    return function if jit is None else tf.function(function, jit_compile=jit)


def normal(*shape: Any, scale: float = 1.0) -> Any:
    return np.random.default_rng(7).normal(0, scale, shape).astype(np.float32)


def float32(tensor: Any) -> Any:
    return tf.cast(tensor, tf.float32).numpy()


def lrn_oracle(x: Any) -> Any:
    """Krizhevsky 2012, section 3.3, channel by channel."""
    channels = x.shape[-1]
    out = np.empty_like(x)
    for i in range(channels):
        near = x[..., max(0, i - 2) : min(channels, i + 3)]
        energy = 2 + 1e-4 * np.sum(near.astype(np.float64) ** 2, axis=-1)
        out[..., i] = x[..., i] / energy**0.75
    return out


@dtypes
@jits
def test_lrn_is_the_papers_formula(dtype: Any, jit: Any) -> None:
    # Large enough for the squares (up to 250 000) to overflow float16.
    x = tf.cast(normal(2, 3, 3, 8, scale=150.0), dtype)
    out = compiled(LocalResponseNorm(dtype=POLICY[dtype]), jit)(x)
    assert out.dtype == dtype
    oracle = lrn_oracle(float32(x))
    assert np.abs(oracle - float32(x) / 2**0.75).max() > 10, "the sum must matter"
    np.testing.assert_allclose(float32(out), oracle, rtol=10 * TOLERANCE[dtype])


@dtypes
@jits
def test_lrn_has_a_gradient_in_every_type(dtype: Any, jit: Any) -> None:
    layer = LocalResponseNorm(dtype=POLICY[dtype])

    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = layer(x)
        return tape.gradient(out, x)

    x = normal(1, 2, 2, 6, scale=20.0)
    step = 1e-2
    above, below = (np.zeros_like(x) for _ in range(2))
    for i in range(6):
        nudge = np.zeros(6, np.float32)
        nudge[i] = step
        above[..., i] = lrn_oracle(x + nudge).sum(-1)
        below[..., i] = lrn_oracle(x - nudge).sum(-1)
    slope = (above - below) / (2 * step)
    out = compiled(gradient, jit)(tf.cast(x, dtype))
    np.testing.assert_allclose(float32(out), slope, atol=max(TOLERANCE[dtype], 2e-3))


def grouped_oracle(x: Any, kernel: Any, bias: Any) -> Any:
    halves = zip(tf.split(x, 2, -1), tf.split(kernel, 2, -1), strict=True)
    return tf.nn.relu(
        tf.concat([tf.nn.conv2d(a, k, 2, "SAME") for a, k in halves], -1) + bias
    )


@dtypes
@jits
def test_grouped_convolution_forward_and_gradient(dtype: Any, jit: Any) -> None:
    layer = GroupedConv2D(
        6,
        3,
        strides=2,
        padding="same",
        groups=2,
        activation="relu",
        bias_initializer=keras.initializers.Constant(0.25),
        dtype=POLICY[dtype],
    )
    x = tf.constant(normal(2, 7, 7, 4))
    layer.build(x.shape)

    def loss_and_gradients(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = layer(x)
            loss = tf.reduce_sum(tf.cast(out, tf.float32) ** 2)
        return out, *tape.gradient(loss, [x, *layer.trainable_variables])

    kernel, bias = (tf.constant(v.numpy()) for v in layer.trainable_variables)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel, bias])
        expected = grouped_oracle(x, kernel, bias)
        loss = tf.reduce_sum(expected**2)
    oracle = expected, *tape.gradient(loss, [x, kernel, bias])

    assert layer(x).dtype == dtype
    got = compiled(loss_and_gradients, jit)(x)
    for value, reference in zip(got, oracle, strict=True):
        worst = np.abs(float32(value) - reference).max() / np.abs(reference).max()
        assert worst < 2 * TOLERANCE[dtype]


def test_grouped_convolution_has_the_weights_and_output_of_keras() -> None:
    ours, theirs = (
        layer(8, 3, groups=2, name="conv")
        for layer in (GroupedConv2D, keras.layers.Conv2D)
    )
    x = normal(2, 5, 5, 4)
    ours(x), theirs(x)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)


def test_a_filter_sees_its_own_group_alone() -> None:
    layer = GroupedConv2D(4, 1, groups=2)
    x = normal(1, 2, 2, 4)
    before = layer(x).numpy()
    x[..., 3] += 1
    changed = np.abs(layer(x).numpy() - before).max((0, 1, 2)) > 1e-6
    assert changed.tolist() == [False, False, True, True]


ROWS, UNITS = 6, 500


def dropped(
    step: Any,
    first_row: int = 0,
    rows: int = ROWS,
    seed: int = 3,
    salt: int = 5,
    rate: float = 0.5,
    dtype: str = "float32",
) -> Any:
    """What a replica's Dropout makes of ones."""
    layer = Dropout(rate, salt, dtype=POLICY[dtype])
    with batch_position(seed, step, first_row, ROWS):
        return layer(tf.ones([rows, UNITS], dtype), training=True).numpy()


def test_the_mask_is_a_function_of_seed_step_and_salt() -> None:
    mask = dropped(step=11)
    np.testing.assert_array_equal(mask, dropped(step=11))
    np.testing.assert_array_equal(mask, dropped(step=tf.constant(11, tf.int64)))
    for other in (dropped(12), dropped(11, seed=4), dropped(11, salt=6)):
        assert 0.4 < np.mean(mask != other) < 0.6, "independent masks differ in half"


def test_rows_of_a_mask_differ() -> None:
    mask = dropped(step=0)
    assert 0.4 < np.mean(mask[0] != mask[1]) < 0.6


def test_two_replicas_concatenate_to_one() -> None:
    whole = dropped(step=2)
    halves = [dropped(step=2, first_row=row, rows=ROWS // 2) for row in (0, 3)]
    np.testing.assert_array_equal(np.concatenate(halves), whole)


@dtypes
@jits
@pytest.mark.parametrize("seed", [slow(3), -1, 2**40], ids=str)
def test_the_mask_is_the_same_however_it_is_traced(
    dtype: Any, jit: Any, seed: Any
) -> None:
    layer = Dropout(0.5, 5, dtype=POLICY[dtype])

    def call(x: Any, step: Any, first_row: Any) -> Any:
        with batch_position(seed, step, first_row, ROWS):
            return layer(x, training=True)

    run = compiled(call, jit)
    for step in (0, 2**31):
        arguments = tf.constant(step, tf.int64), tf.constant(4)
        out = run(tf.ones([2, UNITS], dtype), *arguments)
        assert out.dtype == dtype
        np.testing.assert_array_equal(float32(out), dropped(step, seed=seed)[4:])


def test_batches_of_unknown_size_and_images() -> None:
    layer = Dropout(0.5, 1)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3, 4])])
    def call(x: Any) -> Any:
        with batch_position(0, 0, 1, 3):
            return layer(x, training=True)

    with batch_position(0, 0, 0, 3):
        whole = layer(tf.ones([3, 2, 3, 4]), training=True)
    np.testing.assert_array_equal(call(tf.ones([2, 2, 3, 4])), whole[1:])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_rate_and_the_scale(rate: Any) -> None:
    mask = np.concatenate([dropped(step, rate=rate) for step in range(10)])
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    assert abs(np.mean(mask == 0) - rate) < 4 * deviation
    np.testing.assert_allclose(mask[mask > 0], 1 / (1 - rate), rtol=1e-6)


def test_the_gradient_goes_through_the_kept_units_alone() -> None:
    x = tf.ones([ROWS, UNITS])
    layer = Dropout(0.5, 5)
    with tf.GradientTape() as tape, batch_position(3, 1, 0, ROWS):
        tape.watch(x)
        out = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(out, x), dropped(step=1))


def test_nothing_is_dropped_in_inference_or_at_rate_zero() -> None:
    x = tf.ones([2, UNITS])
    with batch_position(0, 0, 0, 2):
        np.testing.assert_array_equal(Dropout(0.5, 1)(x, training=False), x)
        np.testing.assert_array_equal(Dropout(0.0, 1)(x, training=True), x)


def test_without_a_position_it_is_keras_dropout() -> None:
    layer = Dropout(0.5, 1)
    x = tf.ones([4, UNITS])
    first, second = (layer(x, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    assert 0.4 < np.mean(first == 0) < 0.6


def test_a_position_ends_with_its_block_and_stays_in_its_thread() -> None:
    masks = {}

    def replica(row: Any) -> Any:
        masks[row] = dropped(step=1, first_row=row, rows=3)

    with batch_position(0, 0, 0, ROWS):
        threads = [threading.Thread(target=replica, args=(row,)) for row in (0, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_array_equal(np.concatenate([masks[0], masks[3]]), dropped(1))
    with pytest.raises(KeyError), batch_position(0, 0, 0, ROWS):
        raise KeyError
    layer, x = Dropout(0.5, 1), tf.ones([4, UNITS])
    assert (layer(x, training=True).numpy() != layer(x, training=True).numpy()).any()


@pytest.mark.parametrize(
    "layer",
    [LocalResponseNorm(), GroupedConv2D(4, 3, groups=2), Dropout(0.3, 7)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_come_back_from_their_settings(layer: Any) -> None:
    back = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(back) is type(layer)
    assert back.get_config() == layer.get_config()
