"""Consumers behind the pipeline, and alone on one of its batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet.benchmarks.input_pipeline.device_stages import (
    make_augment,
    plan_alone,
    plan_device_stages,
)
from alexnet.pipeline.config import ReadConfig, StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.stage import Epoch, EpochStage, Stage, WholeStage


@pytest.fixture
def stages() -> list[Stage]:
    """Batches of two, of the numbers from 0 on, which are their own labels."""

    def read(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        return tf.data.Dataset.range(100).map(lambda number: (number, number))

    return [
        EpochStage("read", read),
        WholeStage("prefetch", lambda dataset: dataset.batch(2, drop_remainder=True)),
    ]


def test_behind_the_pipeline_a_consumer_takes_every_batch(stages: list[Stage]) -> None:
    taken = []
    (timing,) = plan_device_stages(
        stages, {"augment": lambda images, _: taken.append(images.numpy().tolist())}
    )
    deliveries = timing.start()
    assert timing.name == "augment"
    assert [next(deliveries) for _ in range(3)] == [2, 2, 2]
    assert taken == [[0, 1], [2, 3], [4, 5]]


def test_alone_it_takes_the_same_one_again(stages: list[Stage]) -> None:
    taken = []
    timing = plan_alone(
        stages, "train step", lambda images, _: taken.append(images.numpy().tolist())
    )
    deliveries = timing.start()
    assert timing.name == "train step alone"
    assert [next(deliveries) for _ in range(3)] == [2, 2, 2]
    assert taken == [[0, 1]] * 3


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["raw", "yuv420"])
def test_augment_takes_what_the_pipeline_yields(
    record_sets: dict[StorageName, Path], storage: StorageName
) -> None:
    """The preset `none` is the centre of the stored picture, whatever the step."""
    records = open_records(record_sets[storage])
    shape = [6, *records.storage.image_shape(16)]
    augment = make_augment(shape, "none", 12, seed=1)
    batches = plan_device_stages(
        train_stages(records, ReadConfig(batch_size=6)), {"augment": augment}
    )
    assert next(batches[0].start()) == 6
    grey = np.full(shape, 128)
    view = augment(tf.constant(grey, tf.uint8), tf.zeros([6], tf.int64))
    assert view.shape == (6, 12, 12, 3)
    assert np.ptp(view, axis=(0, 1, 2)) == pytest.approx(0, abs=1e-5)


def test_draws_differ_from_step_to_step() -> None:
    augment = make_augment([4, 16, 16, 3], "paper", 12, seed=1)
    pictures = tf.constant(np.arange(4 * 768).reshape(4, 16, 16, 3) % 251, tf.uint8)
    labels = tf.zeros([4], tf.int64)
    assert np.abs(augment(pictures, labels) - augment(pictures, labels)).max() > 0.01


@pytest.mark.parametrize(
    ("preset", "side", "told"),
    [("wild", 12, "no augmentation 'wild'"), ("none", 17, "at most the stored 16")],
)
def test_a_wrong_setting_shows_before_anything_is_timed(
    preset: str, side: int, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        make_augment([4, 16, 16, 3], preset, side, seed=1)
