"""Replicas of one process: with batch norm, the parts that they run are one."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.learning_rate import LearningRate
from alexnet.model.training.optimizer import trainable_weights
from alexnet.model.training.optimizers import Sgd
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.augment.presets import preset
from tests.conftest import TINY_NETWORK, TRAIN_SIDE
from tests.model import processes

BATCH, NUM_CLASSES, STEPS = 8, 3, 3
# The rows that two replicas run together, four each in two parts; then the others.
IN_PARTS = np.array([0, 1, 4, 5, 2, 3, 6, 7])


def classifier() -> TrainableClassifier:
    """In parts, with batch norm over all replicas; equal weights at every call."""
    keras.utils.set_random_seed(1)
    config = NetworkConfig(
        variant="bn", num_classes=NUM_CLASSES, dropout=0.0, **TINY_NETWORK
    )
    network = build_network(config, synchronized_norm=True)
    rate = LearningRate("constant", 0.05, 0, 1)
    return TrainableClassifier(
        network,
        preset("none"),
        Sgd(trainable_weights(network), rate),
        global_batch=BATCH,
        accumulate=2,
    )


def require_parts_of_two_replicas() -> None:
    """Check them against the same parts on one device."""
    strategy = set_up_hardware(
        TrainConfig(strategy="mirrored", logical_cpus=2)
    ).strategy
    draw = np.random.default_rng(5)
    images = draw.integers(0, 256, (BATCH, TRAIN_SIDE, TRAIN_SIDE, 3), dtype=np.uint8)
    labels = draw.integers(0, NUM_CLASSES, BATCH)
    with strategy.scope():
        two = classifier()
    one = classifier()

    @tf.function
    def step(number: tf.Tensor) -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        rows = tf.range(BATCH // 2) + BATCH // 2 * tf.cast(replica, tf.int32)
        two.train_step((tf.gather(images, rows), tf.gather(labels, rows)), number)

    parts = tf.constant(images[IN_PARTS]), tf.constant(labels[IN_PARTS])
    for number in range(STEPS):
        strategy.run(step, args=(tf.constant(number, tf.int64),))
        one.train_step(parts, number)
    for ours, theirs in zip(two.network.weights, one.network.weights, strict=True):
        for copy in strategy.experimental_local_results(ours):
            np.testing.assert_allclose(
                copy.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-5, err_msg=ours.name
            )


@pytest.mark.slow
def test_with_batch_norm_parts_of_two_replicas_are_one() -> None:
    processes.call(require_parts_of_two_replicas)
