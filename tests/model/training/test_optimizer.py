"""Rates and updates against formulas written down by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.learning_rate import LearningRate, make_learning_rate
from alexnet.model.training.optimizer import trainable_weights
from alexnet.model.training.optimizers import MOMENTUM, make_optimizer
from alexnet.model.training.replicas import sum_over_replicas
from tests.conftest import TINY_NETWORK
from tests.model import processes

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
    in_graph = tf.function(rate)
    forwards = [float(rate(step)) for step in range(22)]
    backwards = [
        float(in_graph(tf.constant(step, tf.int64))) for step in reversed(range(22))
    ]
    np.testing.assert_allclose(forwards, backwards[::-1], rtol=1e-6)


@pytest.mark.parametrize("epochs", [1, 2, 5, 20, 90])
def test_a_run_anneals_however_short_it_is(epochs: int) -> None:
    """It reaches its peak early, and ends next to nothing."""
    rate = make_learning_rate(TrainConfig(epochs=epochs, learning_rate=PEAK), 100)
    rates = rate(tf.range(100 * epochs)).numpy()
    # An epoch's warm-up, or a tenth of a short run's steps.
    warmup = min(100, 10 * epochs)
    assert rates[0] == pytest.approx(PEAK / warmup)
    assert rates.argmax() == warmup - 1
    assert rates.max() == pytest.approx(PEAK)
    assert rates[-1] < PEAK / 1000


def test_with_a_decay_of_its_own_more_epochs_leave_the_rates_as_they_were() -> None:
    short, long = (
        make_learning_rate(TrainConfig(epochs=n, decay_epochs=20), STEPS_PER_EPOCH)
        for n in (2, 20)
    )
    assert [float(short(s)) for s in range(20)] == [float(long(s)) for s in range(20)]


def test_the_articles_sgd_subtracts_a_thousandth_of_the_gradient() -> None:
    config = TrainConfig(
        optimizer="sgd", schedule="constant", learning_rate=0.001, weight_decay=0.0
    )
    rng = np.random.default_rng(1)
    before, gradient = rng.normal(size=(2, 50)).astype(np.float32)
    kernel = tf.Variable(before, name="kernel")
    make_optimizer(config, STEPS_PER_EPOCH, [kernel]).apply([gradient], 0)
    expected = before - np.float32(0.001) * gradient
    np.testing.assert_array_equal(kernel.numpy(), expected)


def test_momentum_is_the_papers() -> None:
    """Krizhevsky 2012, section 5: v <- 0.9 v - rate x gradient, w <- w + v."""
    config = TrainConfig(
        optimizer="momentum", schedule="constant", learning_rate=0.1, weight_decay=0.0
    )
    kernel = tf.Variable([1.0], name="kernel")
    optimizer = make_optimizer(config, STEPS_PER_EPOCH, [kernel])
    velocity, expected = 0.0, 1.0
    for step, gradient in enumerate((0.5, -0.25, 1.0)):
        optimizer.apply([tf.constant([gradient])], step)
        velocity = 0.9 * velocity - 0.1 * gradient
        expected += velocity
    np.testing.assert_allclose(kernel.numpy(), [expected], rtol=1e-6)


STEPS = 6
DECAYED = TrainConfig(learning_rate=0.1, weight_decay=0.5, epochs=2, decay_epochs=2)


def made_up_steps(replicas: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Starting values, and each step's gradients float32 [replicas, ...]."""
    rng = np.random.default_rng(3)
    shapes = [(5, 4), (4,)]
    values = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    gradients = [
        [rng.normal(size=(replicas, *shape)).astype(np.float32) for shape in shapes]
        for _ in range(STEPS)
    ]
    return values, gradients


def as_keras(rate: LearningRate) -> keras.optimizers.schedules.LearningRateSchedule:
    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> tf.Tensor:
            return rate(step)

    return Schedule()


def after_kerass(
    config: TrainConfig,
    values: list[np.ndarray],
    gradients: list[list[np.ndarray]],
) -> list[np.ndarray]:
    """The oracle: Keras's own, on one device, with the replicas' gradients summed."""
    rate = as_keras(make_learning_rate(config, STEPS_PER_EPOCH))
    options = {
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm,
    }
    theirs = {
        "momentum": lambda: keras.optimizers.SGD(rate, MOMENTUM, **options),
        "sgd": lambda: keras.optimizers.SGD(rate, **options),
        "adam": lambda: keras.optimizers.Adam(rate, **options),
        "adamw": lambda: keras.optimizers.AdamW(rate, **options),
    }[config.optimizer]()
    layer = keras.layers.Dense(4)
    layer.build((None, 5))
    layer.set_weights(values)
    theirs.exclude_from_weight_decay(var_names=["bias"])
    for step in gradients:
        summed = [tf.constant(gradient.sum(axis=0)) for gradient in step]
        theirs.apply_gradients(zip(summed, layer.trainable_variables, strict=True))
    return layer.get_weights()


def after_lars(
    config: TrainConfig, values: list[np.ndarray], gradients: list[list[np.ndarray]]
) -> list[np.ndarray]:
    """The oracle: You 2017, algorithm 1, by hand in float64; of vectors, momentum."""
    rate = make_learning_rate(config, STEPS_PER_EPOCH)
    decay, weights = config.weight_decay, [v.astype(np.float64) for v in values]
    velocities = [np.zeros_like(weight) for weight in weights]
    for step, shares in enumerate(gradients):
        for weight, velocity, share in zip(weights, velocities, shares, strict=True):
            gradient, local = share.astype(np.float64).sum(axis=0), 1.0
            if weight.ndim > 1:
                long = np.linalg.norm(weight)
                shared = np.linalg.norm(gradient) + decay * long
                local = float(0.001 * long / shared)
                gradient += decay * weight
            velocity *= 0.9
            velocity += float(rate(step)) * local * gradient
            weight -= velocity
    return weights


def after_lamb(
    config: TrainConfig, values: list[np.ndarray], gradients: list[list[np.ndarray]]
) -> list[np.ndarray]:
    """The oracle: You 2020, algorithm 2, by hand in float64; of vectors, Adam."""
    rate = make_learning_rate(config, STEPS_PER_EPOCH)
    weights = [v.astype(np.float64) for v in values]
    means, squares = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for step, shares in enumerate(gradients):
        for weight, m, v, share in zip(weights, means, squares, shares, strict=True):
            gradient = share.astype(np.float64).sum(axis=0)
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            update = m / (1 - 0.9 ** (step + 1))
            update /= np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-6
            local = 1.0
            if weight.ndim > 1:
                update += config.weight_decay * weight
                local = float(np.linalg.norm(weight) / np.linalg.norm(update))
            weight -= float(rate(step)) * local * update
    return weights


def require_update(
    replicas: int, name: Any = "momentum", clip_norm: float | None = None
) -> None:
    """Check the fused update on every replica of the current process's devices."""
    settings = replace(DECAYED, optimizer=name, clip_norm=clip_norm)
    values, gradients = made_up_steps(replicas)
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        config = TrainConfig(strategy="mirrored", logical_cpus=replicas)
        strategy = set_up_hardware(config).strategy
    with strategy.scope():
        variables = [tf.Variable(value) for value in values]
        optimizer = make_optimizer(settings, STEPS_PER_EPOCH, variables)

    @tf.function
    def step(number: tf.Tensor, *mine: tf.Tensor) -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        summed = sum_over_replicas([gradient[replica] for gradient in mine])
        optimizer.apply(summed, number)

    for number, one in enumerate(gradients):
        strategy.run(step, args=(tf.constant(number), *map(tf.constant, one)))
    oracle = {"lars": after_lars, "lamb": after_lamb}.get(name, after_kerass)
    expected = oracle(settings, values, gradients)
    for variable, value in zip(variables, expected, strict=True):
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(copy.numpy(), value, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("name", ["momentum", "sgd", "adam", "adamw"])
def test_updates_and_decay_are_kerass(name: Any) -> None:
    require_update(1, name)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_layers_own_rate_is_the_papers(name: Any) -> None:
    require_update(1, name)


def test_lamb_is_that_of_tensorflow_addons() -> None:
    addons = pytest.importorskip("tensorflow_addons")
    values, gradients = made_up_steps(1)
    kernel, bias = (tf.Variable(v, name=n) for v, n in zip(values, "kb", strict=True))
    theirs = addons.optimizers.LAMB(
        as_keras(make_learning_rate(DECAYED, STEPS_PER_EPOCH)),
        weight_decay=DECAYED.weight_decay,
        exclude_from_weight_decay=["b"],
        exclude_from_layer_adaptation=["b"],
    )
    for step in gradients:
        pairs = zip((g[0] for g in step), (kernel, bias), strict=True)
        theirs.apply_gradients(pairs)
    for ours, variable in zip(
        after_lamb(DECAYED, values, gradients), (kernel, bias), strict=True
    ):
        np.testing.assert_allclose(ours, variable.numpy(), rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_kernel_or_gradient_of_zeros_is_no_division_by_zero(name: Any) -> None:
    config = TrainConfig(optimizer=name, schedule="constant", learning_rate=0.1)
    for value, gradient in ((0.0, 1.0), (1.0, 0.0), (0.0, 0.0)):
        kernel = tf.Variable(tf.fill([2, 2], value))
        optimizer = make_optimizer(config, STEPS_PER_EPOCH, [kernel])
        optimizer.apply([tf.fill([2, 2], gradient)], 0)
        assert np.isfinite(kernel.numpy()).all()


def test_clipping_is_kerass_by_the_global_norm() -> None:
    """Of 24 normal draws, some steps' norms are above 5 and others below."""
    require_update(1, clip_norm=5.0)


@pytest.mark.slow
def test_momentum_and_decay_are_kerass_on_two_replicas() -> None:
    processes.call(require_update, 2, "momentum", 7.0)


@pytest.mark.slow
def test_lamb_is_the_papers_on_two_replicas() -> None:
    processes.call(require_update, 2, "lamb")


@pytest.mark.parametrize("name", ["momentum", "sgd", "adam"])
def test_decay_shrinks_kernels_and_nothing_else(name: Any) -> None:
    """With no gradient only the decay acts: Keras takes w x rate x decay away."""
    config = TrainConfig(
        optimizer=name, schedule="constant", learning_rate=0.1, weight_decay=0.5
    )
    network = build_network(NetworkConfig(variant="article", **TINY_NETWORK))
    variables = network.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer = make_optimizer(config, STEPS_PER_EPOCH, trainable_weights(network))
    optimizer.apply([tf.zeros(variable.shape) for variable in variables], 0)
    kinds = set()
    for variable in variables:
        kind = variable.name.split("/")[-1].removesuffix(":0")
        kinds.add(kind)
        left = 1 - 0.1 * 0.5 if kind == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), left, rtol=1e-6, err_msg=kind)
    assert kinds == {"kernel", "bias", "gamma", "beta"}


def test_without_decay_kernels_keep() -> None:
    config = TrainConfig(optimizer="adam", weight_decay=0.0)
    kernel = tf.Variable([[1.0, -2.0]], name="kernel")
    make_optimizer(config, 1, [kernel]).apply([tf.zeros([1, 2])], 0)
    np.testing.assert_array_equal(kernel.numpy(), [[1.0, -2.0]])
