"""Rates and updates against formulas written down by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model.alexnet import build_network
from model.config import NetworkConfig, TrainConfig
from model.optimizer import LearningRate, make_learning_rate, make_optimizer
from tests.conftest import TINY_NETWORK

STEPS_PER_EPOCH = 10
PEAK = 0.02


def by_hand(schedule: str, step: int, warmup: int, total: int) -> float:
    if schedule == "constant":
        return PEAK
    if step < warmup:
        return PEAK * (step + 1) / warmup
    share = min(1.0, (step - warmup) / (total - warmup))
    if schedule == "cosine":
        return PEAK * (1 + math.cos(math.pi * share)) / 2
    return PEAK / 10 ** ((share >= 0.5) + (share >= 0.75) + (share >= 0.9))


@pytest.mark.parametrize("warmup_epochs", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("schedule", ["cosine", "steps", "constant"])
def test_the_rate_of_every_step(schedule: Any, warmup_epochs: float) -> None:
    config = TrainConfig(
        schedule=schedule,
        learning_rate=PEAK,
        warmup_epochs=warmup_epochs,
        epochs=5,
        decay_epochs=5,
    )
    rate = make_learning_rate(config, STEPS_PER_EPOCH)
    steps = range(5 * STEPS_PER_EPOCH + 3)
    warmup, total = round(warmup_epochs * STEPS_PER_EPOCH), 5 * STEPS_PER_EPOCH
    expected = [by_hand(schedule, step, warmup, total) for step in steps]
    found = [float(rate(step)) for step in steps]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("schedule", ["cosine", "steps", "constant"])
def test_the_rate_is_a_pure_function_of_the_step(schedule: Any) -> None:
    rate = LearningRate(schedule, PEAK, 3, 20)
    again = LearningRate.from_config(rate.get_config())
    in_graph = tf.function(rate)
    forwards = [float(rate(step)) for step in range(22)]
    backwards = [
        float(in_graph(tf.constant(step, tf.int64))) for step in reversed(range(22))
    ]
    np.testing.assert_allclose(forwards, backwards[::-1], rtol=1e-6)
    assert forwards == [float(again(step)) for step in range(22)]


def test_more_epochs_leave_the_rates_as_they_were() -> None:
    short, long = (
        make_learning_rate(TrainConfig(epochs=epochs), STEPS_PER_EPOCH)
        for epochs in (2, 20)
    )
    assert [float(short(s)) for s in range(20)] == [float(long(s)) for s in range(20)]


def test_the_articles_sgd_subtracts_a_thousandth_of_the_gradient() -> None:
    config = TrainConfig(
        optimizer="sgd", schedule="constant", learning_rate=0.001, weight_decay=0.0
    )
    rng = np.random.default_rng(1)
    before, gradient = rng.normal(size=(2, 50)).astype(np.float32)
    kernel = tf.Variable(before, name="kernel")
    make_optimizer(config, STEPS_PER_EPOCH).apply_gradients([(gradient, kernel)])
    expected = before - np.float32(0.001) * gradient
    np.testing.assert_array_equal(kernel.numpy(), expected)


def test_momentum_is_the_papers() -> None:
    """Krizhevsky 2012, section 5: v <- 0.9 v - rate x gradient, w <- w + v."""
    config = TrainConfig(schedule="constant", learning_rate=0.1, weight_decay=0.0)
    optimizer = make_optimizer(config, STEPS_PER_EPOCH)
    kernel = tf.Variable([1.0], name="kernel")
    velocity, expected = 0.0, 1.0
    for gradient in (0.5, -0.25, 1.0):
        optimizer.apply_gradients([(tf.constant([gradient]), kernel)])
        velocity = 0.9 * velocity - 0.1 * gradient
        expected += velocity
    np.testing.assert_allclose(kernel.numpy(), [expected], rtol=1e-6)


@pytest.mark.parametrize("name", ["momentum", "sgd", "adam"])
def test_decay_shrinks_kernels_and_nothing_else(name: Any) -> None:
    """With no gradient only the decay acts: Keras takes w x rate x decay away."""
    config = TrainConfig(
        optimizer=name, schedule="constant", learning_rate=0.1, weight_decay=0.5
    )
    network = build_network(NetworkConfig("article", **TINY_NETWORK))
    variables = network.trainable_variables
    for variable in variables:
        variable.assign(tf.ones_like(variable))
    optimizer = make_optimizer(config, STEPS_PER_EPOCH)
    optimizer.apply_gradients([(tf.zeros_like(v), v) for v in variables])
    kinds = set()
    for variable in variables:
        kind = variable.name.split("/")[-1].removesuffix(":0")
        kinds.add(kind)
        left = 1 - 0.1 * 0.5 if kind == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), left, rtol=1e-6, err_msg=kind)
    assert kinds == {"kernel", "bias", "gamma", "beta"}


def test_without_decay_kernels_keep() -> None:
    config = TrainConfig(optimizer="adam", weight_decay=0.0)
    kernel = tf.Variable([1.0, -2.0], name="kernel")
    make_optimizer(config, 1).apply_gradients([(tf.zeros(2), kernel)])
    np.testing.assert_array_equal(kernel.numpy(), [1.0, -2.0])
