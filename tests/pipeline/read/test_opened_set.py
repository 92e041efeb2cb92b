"""Batches of the public surface against the photos, told apart by their pixels."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.pipeline.augment.layer import Augment
from alexnet.pipeline.config import Reader, StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.records.image import read_image, rgb_from_planes, to_square
from tests.conftest import SIDE, await_garbage, slow
from tests.pipeline.read.test_callback import held
from tests.pipeline.read.test_dataset import READERS, WAYS, Batch, examples

Sets = dict[StorageName, Path]


@pytest.fixture(scope="module")
def records(record_sets: Sets) -> OpenedSet:
    return open_records(record_sets["raw"])


def all_keys(records: OpenedSet, split: str) -> list[str]:
    """The keys of a split in the order of its records, by protobuf."""
    stored = examples(records.folder, records.storage.name, split)
    return [key for key, _ in stored.values()]


def taken(dataset: tf.data.Dataset, batches: int | None = None) -> list[Batch]:
    return list(dataset.take(-1 if batches is None else batches).as_numpy_iterator())


def joined(batches: Sequence[Batch], component: int) -> list[Any]:
    return [value for batch in batches for value in batch[component].tolist()]


def keys_of(batches: Sequence[Batch]) -> list[str]:
    return [key.decode() for key in joined(batches, -1)]


def same(left: Sequence[Batch], right: Sequence[Batch]) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


# --- keys, classes and limits


@pytest.mark.parametrize(("storage", "reader"), WAYS)
def test_every_example_comes_with_its_key(
    record_sets: Sets, storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    stored = examples(records.folder, storage, "train")
    train = records.train(batch_size=6, keys=True, reader=reader)
    assert (train.num_examples, train.steps_per_epoch) == (18, 3)
    batches = taken(train.dataset, 3)
    for images, labels, keys in batches:
        for image, label, key in zip(images, labels, keys, strict=True):
            assert stored[image.tobytes()] == (key.decode(), label)
    assert sorted(keys_of(batches)) == sorted(all_keys(records, "train"))
    validation = records.evaluation(batch_size=4, keys=True, reader=reader)
    assert keys_of(taken(validation.dataset)) == all_keys(records, "validation")


def test_photos_come_with_their_keys(photos: Path) -> None:
    batches = taken(open_photos(str(photos)).train(batch_size=3, keys=True).dataset, 6)
    for images, labels, keys in batches:
        for image, label, key in zip(images, labels, keys, strict=True):
            photo = read_image((photos / key.decode()).read_bytes(), 256)
            expected = np.asarray(to_square(photo, 256, "crop"))
            np.testing.assert_array_equal(image, expected)
            assert key.startswith((b"cat/", b"dog/")[label])
    assert len(set(keys_of(batches))) == 18


@pytest.mark.parametrize(
    ("storage", "reader"),
    [slow("raw", "stream"), ("raw", "mmap"), ("original", "stream")],
)
def test_chosen_classes_are_numbered_anew(
    record_sets: Sets, storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    keys = all_keys(records, "train")
    dogs = [key for key in keys if key.startswith("dog/")]
    train = records.train(batch_size=3, classes=["dog"], keys=True, reader=reader)
    assert (train.num_examples, train.class_names) == (len(dogs), ("dog",))
    batches = taken(train.dataset, len(dogs) // 3)
    assert set(joined(batches, 1)) == {0}
    assert set(keys_of(batches)) <= set(dogs)
    assert len(set(keys_of(batches))) == len(dogs) // 3 * 3
    # A limit takes the first of them.
    few = records.evaluation(
        "train", batch_size=9, classes=["dog"], limit=5, keys=True, reader=reader
    )
    assert keys_of(taken(few.dataset)) == dogs[:5]
    turned = records.evaluation(
        "train", batch_size=9, classes=["dog", "cat"], keys=True, reader=reader
    )
    batches = taken(turned.dataset)
    assert keys_of(batches) == keys
    assert joined(batches, 1) == [int(key.startswith("cat/")) for key in keys]


@pytest.mark.parametrize("reader", READERS)
def test_a_limit_takes_the_first_examples(records: OpenedSet, reader: Reader) -> None:
    keys = all_keys(records, "train")
    train = records.train(batch_size=5, limit=10, keys=True, reader=reader)
    batches = taken(train.dataset, 4)
    for epoch in (batches[:2], batches[2:]):
        assert sorted(keys_of(epoch)) == sorted(keys[:10])
    assert records.train(batch_size=5, limit=99, reader=reader).num_examples == 18


# --- weights and labels by key


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("pad", [False, True])
def test_weights_and_labels_go_by_the_key(
    records: OpenedSet, reader: Reader, pad: bool
) -> None:
    keys = all_keys(records, "validation")
    weights = {key: float(number + 1) for number, key in enumerate(keys)}
    validation = records.evaluation(
        batch_size=4,
        pad=pad,
        keys=True,
        weights=weights,
        labels=lambda key: (len(key), keys.index(key) / 2),
        reader=reader,
    )
    *_, (images, labels, weighed, names) = taken(validation.dataset)
    assert validation.steps == 2
    assert (labels.dtype.name, weighed.dtype.name) == ("float32", "float32")
    assert len(images) == len(labels) == (4 if pad else 2)
    assert [name.decode() for name in names[:2]] == keys[4:]
    assert labels[:2].tolist() == [[len(keys[4]), 2], [len(keys[5]), 2.5]]
    assert weighed.tolist() == ([5, 6, 0, 0] if pad else [5, 6])


@pytest.mark.parametrize("reader", READERS)
def test_numbers_as_labels_are_a_regression(records: OpenedSet, reader: Reader) -> None:
    targets = {key: number / 4 for number, key in enumerate(all_keys(records, "train"))}
    train = records.train(batch_size=6, labels=targets, keys=True, reader=reader)
    _, targets_spec, _ = train.dataset.element_spec
    assert targets_spec == tf.TensorSpec([6], tf.float32)
    for _, labels, keys in taken(train.dataset, 3):
        assert labels.tolist() == [targets[key.decode()] for key in keys]


# --- resuming, sharing, evaluating


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("start_step", [slow(1), 4, slow(9)])
def test_a_start_step_is_the_tail_of_an_unbroken_run(
    records: OpenedSet, reader: Reader, start_step: int
) -> None:
    """An epoch of the 9 cats has 4 steps of 2."""

    def batches(start_step: int) -> list[Batch]:
        train = records.train(
            batch_size=2, classes=["cat"], start_step=start_step, reader=reader
        )
        return taken(train.dataset, 12 - start_step)

    assert same(batches(start_step), batches(0)[start_step:])


@pytest.mark.parametrize("reader", READERS)
def test_replicas_share_a_selection(records: OpenedSet, reader: Reader) -> None:
    train = records.train(batch_size=4, limit=9, keys=True, reader=reader)
    halves = taken(train.make(PipelineShard(4, 2)), 6)
    whole = taken(train.dataset, 3)
    joined = [
        tuple(np.concatenate(parts) for parts in zip(*pair, strict=True))
        for pair in zip(halves[::2], halves[1::2], strict=True)
    ]
    assert same(joined, whole)


def test_a_strategy_is_given_the_same_batches(records: OpenedSet) -> None:
    strategy = tf.distribute.MirroredStrategy(["/CPU:0"])
    train = records.train(batch_size=6)
    batches = iter(train.distribute(strategy))
    for images, labels in taken(train.dataset, 2):
        their_images, their_labels = next(batches)
        np.testing.assert_array_equal(their_images, images)
        np.testing.assert_array_equal(their_labels, labels)
    validation = records.evaluation(batch_size=4)
    with pytest.raises(ConfigError, match=r"pad=False.*`pad=True`"):
        validation.distribute(strategy)
    padded = records.evaluation(batch_size=4, pad=True).distribute(strategy)
    assert [weights.numpy().sum() for *_, weights in padded] == [4, 2]


def test_training_has_no_end_and_evaluation_one(records: OpenedSet) -> None:
    assert (
        records.train(batch_size=5).dataset.cardinality()
        == tf.data.INFINITE_CARDINALITY
    )
    validation = records.evaluation(batch_size=4)
    assert [len(images) for images, _ in validation.dataset] == [4, 2]
    assert validation.dataset.cardinality() == validation.steps == 2


@pytest.mark.parametrize("reader", READERS)
def test_plain_metrics_are_exact(records: OpenedSet, reader: Reader) -> None:
    """By hand, of 6 examples in batches of 4: no mean of two means."""
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Rescaling(1 / 255)])
    model.compile(loss=lambda true, shown: tf.reduce_mean(shown, -1))
    validation = records.evaluation(batch_size=4, reader=reader)
    images = np.concatenate([images for images, _ in validation.dataset])
    loss = model.evaluate(validation.dataset, verbose=0)
    assert loss == pytest.approx(images.mean() / 255, rel=1e-5)


@pytest.mark.parametrize("storage", ["jpeg", "raw", "yuv420"])
@pytest.mark.parametrize("reader", READERS)
def test_a_size_is_the_central_window(
    record_sets: Sets, storage: StorageName, reader: Reader
) -> None:
    records = open_records(record_sets[storage])
    whole = taken(records.evaluation(batch_size=4, reader=reader).dataset)
    cut = taken(records.evaluation(batch_size=4, size=14, reader=reader).dataset)
    for (squares, labels), (windows, their_labels) in zip(whole, cut, strict=True):
        assert windows.shape == (len(labels), 14, 14, 3)
        assert windows.dtype == np.uint8
        np.testing.assert_array_equal(labels, their_labels)
        if storage == "yuv420":
            shown = [rgb_from_planes(p.tobytes(), SIDE) for p in squares]
            expected = np.stack([np.asarray(s, float)[1:15, 1:15] for s in shown])
            assert np.abs(expected - windows).mean() < 1.5
        else:
            np.testing.assert_array_equal(windows, squares[:, 1:15, 1:15])


# --- errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ["cow"]}, "`classes` has cow, and the records hold cat, dog"),
        ({"classes": ["cat", "cat"]}, "needs distinct names"),
        ({"classes": []}, "needs distinct names"),
        ({"size": 17}, "holds squares of 16 px. Choose `size=16` or less"),
        ({"size": 0}, "size is 0"),
        ({"limit": 0}, "limit is 0; it needs 1 or more"),
        ({"batch_size": 19}, "batch of 19 is larger .* Choose `batch_size=18`"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"start_step": -1}, "start_step is -1"),
        ({"weights": {}}, r"`weights` has no value for .*/\d\d.jpg"),
        ({"weights": lambda key: (1, 2)}, "one number a key"),
        ({"weights": lambda key: "heavy"}, "`weights` needs a number for every key"),
        ({"labels": lambda key: [0] * int(key[-6])}, "vectors of one length"),
    ],
)
def test_what_does_not_fit_is_told(
    records: OpenedSet, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        records.train(**{"batch_size": 2, **settings})


def test_a_mapping_may_lack_keys_that_are_not_read(records: OpenedSet) -> None:
    cats = [key for key in all_keys(records, "train") if key.startswith("cat/")]
    weights = dict.fromkeys(cats, 2.0)
    train = records.train(batch_size=2, classes=["cat"], weights=weights)
    (*_, weighed), *_ = taken(train.dataset, 1)
    assert weighed.tolist() == [2, 2]
    with pytest.raises(ConfigError, match="`weights` has no value for dog/"):
        records.train(batch_size=2, weights=weights)


def test_originals_cannot_be_mapped(record_sets: Sets) -> None:
    with open_records(record_sets["original"]) as records:
        for ask in (records.train, records.evaluation):
            with pytest.raises(ConfigError, match=r"reader='mmap'"):
                ask(batch_size=2, reader="mmap")


# --- closing


def test_a_closed_set_makes_no_batches_and_maps_nothing(
    record_sets: Sets, tmp_path: Path
) -> None:
    folder = shutil.copytree(record_sets["raw"], tmp_path / "records")
    with open_records(folder) as records:
        train = records.train(batch_size=6, keys=True)
        dataset = train.dataset
        next(iter(dataset))
    next(iter(dataset))  # which was made before
    for ask in (records.train, records.evaluation, lambda: train.dataset):
        with pytest.raises(DataError, match="was closed; open it again"):
            ask()
    del dataset
    assert await_garbage(lambda: held(folder) == (0, 0))


# --- with Keras


@pytest.mark.parametrize("storage", [slow("jpeg"), "yuv420"])
def test_keras_fits_a_network_of_ones_own(
    record_sets: Sets, storage: StorageName
) -> None:
    records = open_records(record_sets[storage])
    train = records.train(batch_size=6, size=12, weights=lambda key: 1.0)
    validation = records.evaluation(batch_size=4)
    augment = Augment("paper", size=12)
    network = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    model = keras.Sequential(network)
    model.compile(loss=loss, metrics=["accuracy"], weighted_metrics=[])
    history = model.fit(
        train.dataset.map(augment),
        validation_data=validation.dataset.map(
            lambda images, labels: augment(images, labels, training=False)
        ),
        steps_per_epoch=train.steps_per_epoch,
        epochs=2,
        shuffle=False,  # a dataset is not, and newer Keras says so
        verbose=0,
    )
    # In front of the network, the layer itself knows which of the two it is asked for.
    whole = keras.Sequential([augment, model])
    whole.compile(loss=loss, metrics=["accuracy"])
    figures = whole.evaluate(validation.dataset, verbose=0, return_dict=True)
    assert figures["loss"] == pytest.approx(history.history["val_loss"][-1], rel=1e-4)
    assert figures["accuracy"] == history.history["val_accuracy"][-1]
