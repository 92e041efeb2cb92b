"""A step against plain Keras; precision, compilation and the clock change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import NetworkConfig, TrainConfig, Variant
from alexnet.model.network.alexnet import build_network
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.learning_rate import LearningRate
from alexnet.model.training.loss import TrainingLoss
from alexnet.model.training.loss_scale import LossScale
from alexnet.model.training.make_classifier import make_classifier
from alexnet.model.training.optimizer import trainable_weights
from alexnet.model.training.optimizers import Sgd
from alexnet.model.training.train_step import DRAWS, TrainableClassifier
from alexnet.pipeline.augment.augment import fold_seed, mixup_cutmix, preprocess_batch
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import AugmentConfig
from alexnet.pipeline.errors import ConfigError
from tests.conftest import BATCH, IMAGE_SIDE, TINY_NETWORK, TRAIN_SIDE, slow

PLAIN = preset("none")
RATE = 0.05
NUM_CLASSES = 3
RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (4 * BATCH, TRAIN_SIDE, TRAIN_SIDE, 3), dtype=np.uint8)
LABELS = RNG.integers(0, NUM_CLASSES, 4 * BATCH)
BATCHED = (tf.constant(IMAGES[:BATCH]), tf.constant(LABELS[:BATCH]))


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    keras.mixed_precision.set_global_policy("float32")


def network(dropout: float = 0.0, variant: Variant = "article") -> keras.Model:
    """Equal weights at every call, in the global policy."""
    keras.utils.set_random_seed(1)
    return build_network(
        NetworkConfig(
            variant=variant, num_classes=NUM_CLASSES, dropout=dropout, **TINY_NETWORK
        )
    )


def classifier(
    *,
    augment: AugmentConfig = PLAIN,
    dropout: float = 0.0,
    variant: Variant = "article",
    loss: TrainingLoss = TrainingLoss(),
    accumulate: int = 1,
    clip_norm: float | None = None,
    xla: bool = False,
    rate: float = RATE,
    loss_scale: LossScale | None = None,
) -> TrainableClassifier:
    made = network(dropout, variant)
    constant = LearningRate("constant", rate, 0, 1)
    return TrainableClassifier(
        made,
        augment,
        Sgd(trainable_weights(made), constant, clip_norm=clip_norm),
        loss_scale=loss_scale,
        loss=loss,
        global_batch=BATCH,
        accumulate=accumulate,
        seed=3,
        xla=xla,
    )


def weights_after_a_step(
    made: TrainableClassifier, number: int = 0
) -> list[np.ndarray]:
    made.train_step(BATCHED, number)
    return made.network.get_weights()


def require_close(
    found: list[np.ndarray], expected: list[np.ndarray], **tolerance: Any
) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


def test_a_step_is_plain_keras() -> None:
    made, plain = classifier(), network()
    plain.compile(
        keras.optimizers.SGD(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    before = plain.get_weights()
    view = preprocess_batch(BATCHED[0], PLAIN, IMAGE_SIDE)
    loss, accuracy = plain.train_on_batch(view, BATCHED[1])
    losses = made.train_step(BATCHED, 0)
    assert losses.numpy().mean() == pytest.approx(loss, rel=1e-5)
    assert made.metrics.read() == pytest.approx((loss, accuracy, 1, 0), rel=1e-5)
    after = plain.get_weights()
    assert all(abs(b - a).max() > 0 for a, b in zip(after, before, strict=True))
    # The weights' changes are the gradients times the rate.
    require_close(
        [b - a for a, b in zip(made.network.get_weights(), before, strict=True)],
        [b - a for a, b in zip(after, before, strict=True)],
        rtol=1e-3,
        atol=1e-6,
    )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_networks_own_penalties_are_trained_on(accumulate: int) -> None:
    """Of regularizers, once a step: without the data's gradients weights shrink."""
    images = keras.Input((IMAGE_SIDE, IMAGE_SIDE, 3))
    blind = keras.layers.Rescaling(0.0)(keras.layers.GlobalMaxPooling2D()(images))
    dense = keras.layers.Dense(
        NUM_CLASSES, kernel_regularizer=keras.regularizers.L2(0.5)
    )
    made = keras.Model(images, dense(blind))
    sgd = Sgd(trainable_weights(made), LearningRate("constant", RATE, 0, 1))
    before = dense.get_weights()[0]
    options: dict[str, Any] = {"global_batch": BATCH, "accumulate": accumulate}
    TrainableClassifier(made, PLAIN, sgd, **options).train_step(BATCHED, 0)
    np.testing.assert_allclose(dense.get_weights()[0], before * (1 - RATE), rtol=1e-6)


@pytest.mark.slow
def test_one_hot_labels_train_the_same_weights() -> None:
    sparse, one_hot = classifier(), classifier(loss=TrainingLoss("one-hot"))
    require_close(
        weights_after_a_step(one_hot), weights_after_a_step(sparse), atol=1e-6
    )


def test_a_step_depends_on_its_number_and_seed_alone() -> None:
    options: dict[str, Any] = {"augment": preset("modern"), "dropout": 0.5}
    first = weights_after_a_step(classifier(**options))
    tf.random.set_seed(99)
    tf.random.normal([3])  # a global generator that has moved on
    again = weights_after_a_step(classifier(**options))
    require_close(again, first, rtol=0)
    later = weights_after_a_step(classifier(**options), 7)
    assert not np.array_equal(later[0], first[0])


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_evaluation_counts_every_example_once(batch_size: int) -> None:
    made = classifier()
    count = 10
    for start in range(0, count, batch_size):
        rows = np.arange(start, start + batch_size)
        weights = (rows < count).astype(np.float32)
        # Padding has other pixels and other labels than any example.
        images = np.where(weights[:, None, None, None] > 0, IMAGES[rows], 255)
        labels = np.where(weights > 0, LABELS[rows], 0)
        made.test_step(
            tuple(map(tf.constant, (images.astype(np.uint8), labels, weights)))
        )
    view = preprocess_batch(tf.constant(IMAGES[:count]), PLAIN, IMAGE_SIDE)
    logits = made.network(view, training=False).numpy().astype(np.float64)
    odds = np.exp(logits)
    losses = -np.log(odds / odds.sum(1, keepdims=True))[range(count), LABELS[:count]]
    accuracy = (logits.argmax(1) == LABELS[:count]).mean()
    metrics = made.metrics.read()
    assert metrics.loss == pytest.approx(losses.mean(), rel=1e-5)
    assert metrics.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_takes_nearly_the_same_step(policy: str) -> None:
    expected = weights_after_a_step(classifier())
    keras.mixed_precision.set_global_policy(policy)
    made = classifier(loss_scale=LossScale() if policy == "mixed_float16" else None)
    found = weights_after_a_step(made)
    assert {array.dtype for array in found} == {np.dtype("float32")}
    # A loss scale of 2^15 that is not taken out again would be seen at once.
    require_close(found, expected, atol=0.02)
    assert np.isfinite(made.metrics.read().loss)
    probabilities = made(BATCHED[0])
    assert probabilities.dtype == tf.float32
    np.testing.assert_allclose(probabilities.numpy().sum(1), 1, atol=1e-6)


def test_an_overflow_is_skipped_and_the_scale_halved() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    scale = LossScale(2.0**127)
    made = classifier(loss_scale=scale)
    before = made.network.trainable_variables[0].numpy()
    made.train_step(BATCHED, 0)
    np.testing.assert_array_equal(made.network.trainable_variables[0].numpy(), before)
    assert float(scale.scale) == 2.0**126
    assert made.metrics.read().skipped_steps == 1


@pytest.mark.slow
def test_skipped_steps_are_counted_over_an_epoch_and_growth_is_none() -> None:
    """Of 2^22 and less some overflow float16; after two good steps the scale grows."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    scale = LossScale(2.0**22, growth_steps=2)
    made, scales = classifier(loss_scale=scale, rate=1e-6), [2.0**22]
    for number in range(16):
        made.train_step((BATCHED[0][:2], BATCHED[1][:2]), number)
        scales.append(float(scale.scale))
    changes = [after / before for before, after in pairwise(scales)]
    assert set(changes) == {0.5, 1.0, 2.0}
    assert made.metrics.read().skipped_steps == changes.count(0.5)
    made.metrics.reset()
    assert made.metrics.read() == (0, 0, 0, 0)


@pytest.mark.slow
def test_compiled_by_xla_it_is_the_same_step() -> None:
    plain, compiled = (classifier(xla=xla, dropout=0.5) for xla in (False, True))
    require_close(
        weights_after_a_step(compiled),
        weights_after_a_step(plain),
        rtol=1e-3,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        compiled(BATCHED[0]).numpy(), plain(BATCHED[0]).numpy(), atol=1e-5
    )


def test_mixed_images_are_trained_on_mixed_labels() -> None:
    config = replace(PLAIN, mixup=1.0)
    made, plain = classifier(augment=config), network()
    images, labels = BATCHED
    draws = fold_seed(made.seed, DRAWS, 0)
    view, targets = mixup_cutmix(
        preprocess_batch(images, config, IMAGE_SIDE),
        tf.one_hot(labels, NUM_CLASSES),
        config,
        draws,
        0,
        BATCH,
    )
    assert (targets.numpy().max(axis=1) < 1).any()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    expected = float(loss(targets, plain(view, training=True)))
    losses = made.train_step(BATCHED, 0).numpy()
    assert losses.mean() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("xla", [False, slow(True)])
def test_a_batch_in_parts_takes_the_step_of_the_whole(xla: bool) -> None:
    """Without batch norm; the draws of a row are its own in the global batch."""
    options: dict[str, Any] = {"augment": preset("paper"), "dropout": 0.5}
    whole = classifier(variant="paper", **options)
    parts = classifier(variant="paper", accumulate=2, xla=xla, **options)
    step = tf.function(parts.train_step)
    losses = whole.train_step(BATCHED, 0)
    np.testing.assert_allclose(step(BATCHED, 0), losses, rtol=1e-4)
    require_close(
        parts.network.get_weights(),
        whole.network.get_weights(),
        rtol=1e-3,
        atol=1e-6,
    )
    assert parts.metrics.read() == pytest.approx(whole.metrics.read(), rel=1e-4)


def test_replicas_need_equal_parts() -> None:
    needs = rf"batch_size is {BATCH}; it needs a multiple of `accumulate=3` x 1 devices"
    with pytest.raises(ConfigError, match=needs):
        classifier(accumulate=3)


def test_a_runs_loss_weighs_classes_by_its_examples() -> None:
    config = TrainConfig(class_weights="balanced", label_smoothing=0.1)
    hardware, counts = set_up_hardware(config), (10, 20, 30)
    made = make_classifier(network(), PLAIN, config, hardware, 1, class_counts=counts)
    assert made.loss == TrainingLoss("sparse", 0.1, (2.0, 1.0, 60 / 90))


def test_with_batch_norm_a_part_is_normalised_alone() -> None:
    """The averages move once a part, as they would in as many small batches."""
    made, plain = classifier(accumulate=2, variant="bn", rate=0.0), network(0.0, "bn")
    made.train_step(BATCHED, 0)
    view = preprocess_batch(BATCHED[0], PLAIN, IMAGE_SIDE)
    for part in tf.split(view, 2):
        plain(part, training=True)
    require_close(made.network.get_weights(), plain.get_weights(), rtol=1e-4)


@pytest.mark.parametrize("loss_scale", [None, 2.0**10])
def test_gradients_are_clipped_by_the_norm_of_all(loss_scale: float | None) -> None:
    """After the loss scale is taken out: a step of the rate times the norm."""
    norm = 0.2
    scale = LossScale(loss_scale) if loss_scale else None
    made, plain = classifier(clip_norm=norm, loss_scale=scale), classifier()
    before = trainable(made)
    made.train_step(BATCHED, 0)
    plain.train_step(BATCHED, 0)
    steps = [a - b for a, b in zip(trainable(made), before, strict=True)]
    unclipped = [a - b for a, b in zip(trainable(plain), before, strict=True)]
    length = np.sqrt(sum(float((step**2).sum()) for step in unclipped))
    assert length > norm * RATE
    expected = [step * (norm * RATE / length) for step in unclipped]
    require_close(steps, expected, rtol=1e-3, atol=3e-7)


def trainable(made: TrainableClassifier) -> list[np.ndarray]:
    return [w.numpy().copy() for w in made.network.trainable_variables]
