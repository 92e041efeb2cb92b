"""Losses against Keras's own, class weights against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight
from tensorflow import keras

from alexnet.model.training.loss import TrainingLoss, balanced_weights

NUM_CLASSES = 3
RNG = np.random.default_rng(2)
LOGITS = RNG.normal(size=(8, NUM_CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, NUM_CLASSES, 8)
WEIGHTS = (0.5, 1.0, 3.0)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_smoothed_labels_and_weights_are_kerass(
    smoothing: float, weights: tuple[float, ...] | None
) -> None:
    theirs = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing, reduction="none"
    )
    one_hot = np.eye(NUM_CLASSES, dtype=np.float32)[LABELS]
    expected = theirs(one_hot, LOGITS).numpy()
    expected *= 1 if weights is None else np.array(weights)[LABELS]
    loss = TrainingLoss("sparse", smoothing, weights)
    targets = one_hot if loss.needs_one_hot else LABELS
    found = loss(tf.constant(targets), tf.constant(LOGITS))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_mixed_example_counts_as_its_classes_do() -> None:
    mixed = tf.constant([[0.75, 0.0, 0.25]])
    plain, weighted = TrainingLoss("one-hot"), TrainingLoss("one-hot", 0.0, WEIGHTS)
    logits = tf.constant(LOGITS[:1])
    share = 0.75 * 0.5 + 0.25 * 3
    np.testing.assert_allclose(weighted(mixed, logits), share * plain(mixed, logits))


@pytest.mark.parametrize("counts", [(10, 30), (5, 5), (1, 2, 3)])
def test_balanced_weights_are_scikit_learns(counts: tuple[int, ...]) -> None:
    classes = np.arange(len(counts))
    expected = compute_class_weight(
        "balanced", classes=classes, y=np.repeat(classes, counts)
    )
    np.testing.assert_allclose(balanced_weights(counts), expected)


def test_a_class_without_examples_takes_nothing_from_the_others() -> None:
    assert balanced_weights((4, 0, 12)) == pytest.approx((2, 0, 2 / 3))
