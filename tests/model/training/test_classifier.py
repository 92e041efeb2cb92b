"""A step against plain Keras; precision, compilation and the clock change nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import Loss, NetworkConfig
from alexnet.model.network.alexnet import build_network
from alexnet.model.training.classifier import DRAWS, Classifier, InputClock
from alexnet.pipeline.augment.augment import fold_seed, mixup_cutmix, preprocess_batch
from alexnet.pipeline.augment.presets import preset
from alexnet.pipeline.config import AugmentConfig
from tests.conftest import BATCH, IMAGE_SIDE, TINY_NETWORK, TRAIN_SIDE

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


def network(dropout: float = 0.0) -> keras.Model:
    """Equal weights at every call, in the global policy."""
    keras.utils.set_random_seed(1)
    return build_network(
        NetworkConfig(
            variant="article", num_classes=NUM_CLASSES, dropout=dropout, **TINY_NETWORK
        )
    )


def classifier(
    *,
    augment: AugmentConfig = PLAIN,
    dropout: float = 0.0,
    loss: Loss = "sparse",
    xla: bool = False,
    steps_per_execution: int = 1,
) -> Classifier:
    made = Classifier(
        network(dropout), augment, loss=loss, global_batch=BATCH, seed=3, xla=xla
    )
    made.compile(
        optimizer=keras.optimizers.SGD(RATE),
        weighted_metrics=[],
        steps_per_execution=steps_per_execution,
    )
    return made


def weights_after_a_step(made: Classifier) -> list[np.ndarray]:
    made.train_step(BATCHED)
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
    results = made.train_step(BATCHED)
    assert float(results["loss"]) == pytest.approx(loss, rel=1e-5)
    assert float(results["accuracy"]) == pytest.approx(accuracy)
    after = plain.get_weights()
    assert all(abs(b - a).max() > 0 for a, b in zip(after, before, strict=True))
    # The weights' changes are the gradients times the rate.
    require_close(
        [b - a for a, b in zip(made.network.get_weights(), before, strict=True)],
        [b - a for a, b in zip(after, before, strict=True)],
        rtol=1e-3,
        atol=1e-6,
    )


def test_one_hot_labels_train_the_same_weights() -> None:
    sparse, one_hot = classifier(loss="sparse"), classifier(loss="one-hot")
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
    later = classifier(**options)
    later.optimizer.iterations.assign(7)
    assert not np.array_equal(weights_after_a_step(later)[0], first[0])


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
        results = made.test_step(
            tuple(map(tf.constant, (images.astype(np.uint8), labels, weights)))
        )
    view = preprocess_batch(tf.constant(IMAGES[:count]), PLAIN, IMAGE_SIDE)
    logits = made.network(view, training=False).numpy().astype(np.float64)
    odds = np.exp(logits)
    losses = -np.log(odds / odds.sum(1, keepdims=True))[range(count), LABELS[:count]]
    accuracy = (logits.argmax(1) == LABELS[:count]).mean()
    assert float(results["loss"]) == pytest.approx(losses.mean(), rel=1e-5)
    assert float(results["accuracy"]) == pytest.approx(accuracy)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_takes_nearly_the_same_step(policy: str) -> None:
    expected = weights_after_a_step(classifier())
    keras.mixed_precision.set_global_policy(policy)
    made = classifier()
    scales = isinstance(made.optimizer, keras.mixed_precision.LossScaleOptimizer)
    assert scales == (policy == "mixed_float16")
    found = weights_after_a_step(made)
    assert {array.dtype for array in found} == {np.dtype("float32")}
    # A loss scale of 2^15 that is not taken out again would be seen at once.
    require_close(found, expected, atol=0.02)
    assert np.isfinite(float(made.loss_mean.result()))
    probabilities = made(BATCHED[0])
    assert probabilities.dtype == tf.float32
    np.testing.assert_allclose(probabilities.numpy().sum(1), 1, atol=1e-6)


def test_an_overflow_is_skipped_and_the_scale_halved() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    made = classifier()
    made.optimizer._loss_scale._current_loss_scale.assign(2.0**127)
    before = made.network.trainable_variables[0].numpy()
    made.train_step(BATCHED)
    np.testing.assert_array_equal(made.network.trainable_variables[0].numpy(), before)
    assert float(made.optimizer.loss_scale) == 2.0**126
    assert float(made.skipped_steps.result()) == 1


def test_skipped_steps_are_counted_over_an_epoch_and_growth_is_none() -> None:
    """Of 2^22 and less some overflow float16; after two good steps the scale grows."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    made = classifier()
    optimizer = keras.mixed_precision.LossScaleOptimizer(
        keras.optimizers.SGD(1e-6), initial_scale=2.0**22, dynamic_growth_steps=2
    )
    made.compile(optimizer=optimizer, weighted_metrics=[])
    scales = [float(optimizer.loss_scale)]

    def note(batch: int, logs: Any) -> None:
        scales.append(float(optimizer.loss_scale))

    two = (BATCHED[0][:2], BATCHED[1][:2])
    told = made.fit(
        tf.data.Dataset.from_tensors(two).repeat(),
        epochs=2,  # the second counts anew
        steps_per_epoch=8,
        callbacks=[keras.callbacks.LambdaCallback(on_batch_end=note)],
        verbose=0,
    ).history["skipped_steps"]
    changes = [after / before for before, after in pairwise(scales)]
    assert set(changes) == {0.5, 1.0, 2.0}
    assert told == [changes[:8].count(0.5), changes[8:].count(0.5)]
    assert "skipped_steps" not in made.test_step((*BATCHED, tf.ones(BATCH)))


def test_where_no_loss_is_scaled_nothing_is_skipped() -> None:
    made = classifier()
    assert set(made.train_step(BATCHED)) == {"loss", "accuracy"}


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


def test_steps_in_one_execution_are_the_same_steps() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(BATCH, True)
    found = []
    for steps in (1, 2):
        made = classifier(steps_per_execution=steps, augment=preset("paper"))
        history = made.fit(dataset.repeat(), steps_per_epoch=4, verbose=0).history
        assert int(made.optimizer.iterations) == 4
        found.append([*made.network.get_weights(), history["loss"]])
    require_close(found[1], found[0], rtol=1e-6, atol=1e-7)


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
    assert float(made.train_step(BATCHED)["loss"]) == pytest.approx(expected, rel=1e-4)


def slow_batches(count: int, seconds: float) -> tf.data.Dataset:
    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(count):
            time.sleep(seconds)
            yield IMAGES[:BATCH], LABELS[:BATCH]

    signature = (
        tf.TensorSpec([BATCH, TRAIN_SIDE, TRAIN_SIDE, 3], tf.uint8),
        tf.TensorSpec([BATCH], tf.int64),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature)


def test_the_clock_sees_a_slow_input() -> None:
    clock = InputClock()
    wait = tf.function(clock.timed_next)
    start = time.monotonic()
    iterator = iter(slow_batches(3, 0.05))
    for _ in range(3):
        images, _ = wait(iterator)
    elapsed = time.monotonic() - start
    np.testing.assert_array_equal(images.numpy(), IMAGES[:BATCH])
    assert 0.1 < clock.take() <= elapsed
    assert clock.take() == 0


def test_the_training_times_every_step_of_an_execution() -> None:
    made = classifier(steps_per_execution=2)
    start = time.monotonic()
    made.fit(slow_batches(2, 0.1), steps_per_epoch=2, verbose=0)
    elapsed = time.monotonic() - start
    assert 0.15 < made.clock.take() < elapsed
