"""The layer against the functions it calls, in Keras's own loop and in tf.data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.pipeline.augment.augment import (
    augment_batch,
    fold_seed,
    mixup_cutmix,
    preprocess_batch,
)
from alexnet.pipeline.augment.layer import Augment
from alexnet.pipeline.augment.presets import PRESETS
from alexnet.pipeline.errors import ConfigError

STORED, SIZE, ROWS, BATCHES, CLASSES, SEED = 32, 27, 4, 3, 5, 7
PAPER = PRESETS["paper"]
MIXED = replace(PRESETS["modern"], mixup=0.4, cutmix=1.0)

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (BATCHES * ROWS, STORED, STORED, 3), np.uint8)
PLANES = RANDOM.integers(0, 256, (ROWS, 3 * STORED // 2, STORED), np.uint8)
LABELS = RANDOM.integers(0, CLASSES, BATCHES * ROWS)


def batches(*parts: np.ndarray) -> tf.data.Dataset:
    tensors = parts if len(parts) > 1 else parts[0]
    return tf.data.Dataset.from_tensor_slices(tensors).batch(ROWS, drop_remainder=True)


def by_hand(images: np.ndarray, labels: Any, step: int) -> tuple[tf.Tensor, tf.Tensor]:
    """A step of MIXED, by the functions that `alexnet fit` calls."""
    seed, one_hot = fold_seed(SEED, step), tf.one_hot(labels, CLASSES)
    view = augment_batch(images, MIXED, SIZE, seed, 0, len(images))
    return mixup_cutmix(view, one_hot, MIXED, seed, 0, len(images))


def equal(ours: Any, others: Any) -> None:
    for our, other in zip(ours, others, strict=True):
        np.testing.assert_allclose(our, other, atol=1e-5)


@pytest.mark.parametrize("images", [IMAGES[:ROWS], PLANES], ids=["rgb", "yuv420"])
def test_a_call_is_a_step_of_the_functions(images: np.ndarray) -> None:
    augment = Augment(MIXED, size=SIZE, seed=SEED, classes=CLASSES)
    for step in (0, 1):
        equal(augment(images, LABELS[:ROWS]), by_hand(images, LABELS[:ROWS], step))
    equal(augment(images, LABELS[:ROWS], step=9), by_hand(images, LABELS[:ROWS], 9))
    view = augment_batch(images, MIXED, SIZE, fold_seed(SEED, 2), 0, ROWS)
    np.testing.assert_allclose(augment(images), view, atol=1e-5)
    assert augment.step.numpy() == 3
    plain = preprocess_batch(images, MIXED, SIZE)
    np.testing.assert_array_equal(augment(images, training=False), plain)
    ours, labels = augment(images, LABELS[:ROWS], training=False)
    np.testing.assert_array_equal(ours, plain)
    np.testing.assert_array_equal(labels, np.eye(CLASSES)[LABELS[:ROWS]])
    assert augment.step.numpy() == 3


def test_weights_are_mixed_as_labels_are() -> None:
    """With every row a class of its own, the labels are the matrix that mixes."""
    augment = Augment(MIXED, size=SIZE, classes=ROWS)
    weights = np.array([1, 2, 0, 5], np.float32)
    _, labels, mixed = augment(IMAGES[:ROWS], np.arange(ROWS), weights)
    np.testing.assert_allclose(mixed, np.matmul(labels, weights), atol=1e-5)
    assert np.abs(mixed - weights).max() > 0.1
    plain = Augment("paper", size=SIZE)
    _, labels, kept = plain(IMAGES[:ROWS], LABELS[:ROWS], weights)
    np.testing.assert_array_equal(labels, LABELS[:ROWS])
    np.testing.assert_array_equal(kept, weights)


@pytest.mark.slow
def test_a_mapped_dataset_s_batches_are_steps() -> None:
    """Over epochs, in parallel and from the middle."""
    augment = Augment(MIXED, size=SIZE, seed=SEED, classes=CLASSES)
    repeated = batches(IMAGES, LABELS).repeat(2)
    mapped = list(augment.map(repeated))
    for step, (batch, (images, labels)) in enumerate(
        zip(mapped, repeated, strict=True)
    ):
        equal(batch, by_hand(images, labels, step))
    later = next(iter(augment.map(repeated.skip(4), start_step=4)))
    equal(later, mapped[4])
    assert augment.step.numpy() == 0
    (images,) = augment.map(batches(IMAGES).take(1))
    assert images.shape == [ROWS, SIZE, SIZE, 3]


@pytest.mark.slow
def test_a_plain_map_draws_anew_in_every_epoch() -> None:
    augment = Augment(MIXED, size=SIZE, seed=SEED, classes=CLASSES)
    dataset = batches(IMAGES, LABELS).map(augment)
    for epoch in (0, 1):
        for number, batch in enumerate(dataset):
            rows = slice(number * ROWS, (number + 1) * ROWS)
            step = epoch * BATCHES + number
            equal(batch, by_hand(IMAGES[rows], LABELS[rows], step))


def classifier(*first: keras.layers.Layer) -> keras.Model:
    head = [keras.layers.Flatten(), keras.layers.Dense(CLASSES, "softmax", False)]
    model = keras.Sequential([*first, *head])
    model.compile(keras.optimizers.SGD(0.01), "categorical_crossentropy")
    return model


def test_keras_fits_with_it_in_the_model_and_on_the_dataset() -> None:
    """As on images that were augmented before, two epochs of three steps."""
    start = 0.01 * RANDOM.standard_normal((SIZE * SIZE * 3, CLASSES)).astype(np.float32)
    one_hot = np.eye(CLASSES, dtype=np.float32)[LABELS]

    def fitted(
        model: keras.Model, dataset: tf.data.Dataset, **steps: int
    ) -> np.ndarray:
        model(next(iter(dataset))[0], training=False)
        model.layers[-1].set_weights([start])
        model.fit(dataset, shuffle=False, verbose=0, **steps)
        return model.layers[-1].get_weights()[0]

    def view(step: int) -> tf.Tensor:
        rows = IMAGES[step % BATCHES * ROWS :][:ROWS]
        return augment_batch(rows, PAPER, SIZE, fold_seed(SEED, step), 0, ROWS)

    views = np.concatenate([view(step) for step in range(2 * BATCHES)])
    oracle = fitted(classifier(), batches(views, np.tile(one_hot, (2, 1))))
    assert np.abs(oracle - start).max() > 0.01
    augment, plain = Augment("paper", size=SIZE, seed=SEED), batches(IMAGES, one_hot)
    inside = fitted(classifier(augment), plain, epochs=2)
    assert augment.step.numpy() == 2 * BATCHES
    mapped = augment.map(plain.repeat())
    outside = fitted(classifier(), mapped, epochs=2, steps_per_epoch=BATCHES)
    for weights in (inside, outside):
        np.testing.assert_allclose(weights, oracle, atol=1e-5)


# Keras 3 reads its variables in a way that NumPy 2 gives up.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.slow
def test_a_saved_model_goes_on_where_it_was(tmp_path: Path) -> None:
    model = classifier(Augment(MIXED, size=SIZE, seed=SEED))
    model.fit(batches(IMAGES, np.eye(CLASSES)[LABELS]), shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == model.layers[0].get_config()
    assert loaded.layers[0].step.numpy() == BATCHES
    for training in (False, True):
        ours, others = (each(IMAGES, training=training) for each in (model, loaded))
        np.testing.assert_allclose(ours, others, atol=1e-6)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def test_images_have_the_compute_type_and_labels_do_not(policy: str) -> None:
    augment = Augment(MIXED, size=SIZE, classes=CLASSES)
    images, labels = augment(IMAGES[:ROWS], LABELS[:ROWS])
    assert images.dtype.name == policy.removeprefix("mixed_")
    assert labels.dtype == tf.float32


def test_replicas_take_their_rows_of_a_step() -> None:
    """The model runs on one replica; as row 4 of 8, it draws what 8 rows draw there."""
    same = np.repeat(IMAGES[:1], 2 * ROWS, axis=0)
    whole = augment_batch(same, MIXED, SIZE, fold_seed(SEED, 0), 0, 2 * ROWS)

    class SecondReplica:
        replica_id_in_sync_group, num_replicas_in_sync = 1, 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.distribute, "get_replica_context", SecondReplica)
        ours = Augment(MIXED, size=SIZE, seed=SEED)(same[:ROWS])
    np.testing.assert_allclose(ours, whole[ROWS:], atol=1e-5)


@pytest.mark.slow
def test_keras_fits_with_it_under_a_strategy() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = classifier(Augment("paper", size=SIZE))
    model.fit(
        batches(IMAGES, np.eye(CLASSES)[LABELS]), shuffle=False, epochs=2, verbose=0
    )
    assert model.layers[0].step.numpy() == 2 * BATCHES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augmentation": "papper", "size": SIZE}, "'papper'"),
        ({"augmentation": "paper", "size": 0}, "size is 0; it needs 1 pixel"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Augment(**settings)


def test_labels_that_cannot_be_mixed_are_refused() -> None:
    with pytest.raises(ConfigError, match="give `Augment` the number of `classes`"):
        Augment(MIXED, size=SIZE).map(batches(IMAGES, LABELS))
