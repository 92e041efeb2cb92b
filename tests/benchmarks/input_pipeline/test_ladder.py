"""The ladder's rungs: prefixes of the training stages, counted exactly."""

from __future__ import annotations

from inspect import getgeneratorlocals
from typing import Any

import pytest
import tensorflow as tf

from alexnet.benchmarks.input_pipeline.ladder import (
    Rung,
    Share,
    added_microseconds,
    limit_names,
    plan_rungs,
    shares,
    split_rungs,
)
from alexnet.benchmarks.measure import GROUP_RECORDS
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.read.stage import Epoch, EpochStage, Stage, WholeStage, compose
from alexnet.pipeline.records.storage import STORAGES

BATCH = 6
# An epoch that ends neither with a batch nor with a group.
RECORDS = GROUP_RECORDS + 1


def test_added_microseconds_sum_to_the_last_rung() -> None:
    """1, 10 and 5 microseconds: the prefetch hides half of what decoding takes."""
    rungs = [Rung("read", 1e6, 0), Rung("decode", 1e5, 0), Rung("prefetch", 2e5, 0)]
    assert added_microseconds(rungs) == pytest.approx([1, 4, 0])
    assert added_microseconds(rungs[:2]) == pytest.approx([1, 9])


def test_the_device_begins_behind_the_host() -> None:
    """In the order they come in, whatever the host's stages are called."""
    names = ["shuffle", "decode", "prefetch", "to device", "augment", "train step"]
    host, device = split_rungs([Rung(name, 1.0, 0.0) for name in names])
    assert [rung.stage for rung in host] == names[:3]
    assert [rung.stage for rung in device] == names[3:]


def test_every_rung_runs_its_stages_and_counts_what_passed_them() -> None:
    """Against a counter in the first stage, which sees every record."""
    passed = [0]

    def count(number: tf.Tensor) -> tf.Tensor:
        def add(value: tf.Tensor) -> tf.Tensor:
            passed[0] += 1
            return value

        return tf.ensure_shape(tf.py_function(add, [number], tf.int64), [])

    def read(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        return tf.data.Dataset.range(RECORDS).map(count)

    none_injected = tf.data.Options()
    none_injected.experimental_optimization.map_parallelization = False
    stages: list[Stage] = [
        EpochStage("read", read),
        WholeStage("shuffle", lambda dataset: dataset),
        # Early, as streamed records are batched: what follows works on batches.
        WholeStage("batch", lambda dataset: dataset.batch(BATCH, drop_remainder=True)),
        WholeStage("parse", lambda dataset: dataset.map(lambda batch: (batch, batch))),
        # No real one: it would run ahead of the count.
        WholeStage("prefetch", lambda dataset: dataset.with_options(none_injected)),
    ]
    timings = plan_rungs(stages)
    assert [timing.name for timing in timings] == [stage.name for stage in stages]
    for timing in timings:
        passed[0] = 0
        deliveries = timing.start()
        delivered = sum(next(deliveries) for _ in range(3))
        assert delivered == passed[0]
        deliveries.close()


def test_prefixes_have_the_options_of_the_whole() -> None:
    """A rung measured with other threads than training's would say nothing of it."""
    seen = []

    def read(dataset: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        return dataset.repeat(GROUP_RECORDS)

    stages: list[Stage] = [
        EpochStage("read", read),
        WholeStage("batch", lambda dataset: dataset.batch(BATCH, drop_remainder=True)),
        WholeStage("prefetch", lambda dataset: dataset.prefetch(2)),
    ]
    for timing in plan_rungs(stages):
        deliveries = timing.start()
        next(deliveries)
        dataset = getgeneratorlocals(deliveries)["dataset"]
        seen.append(dataset.options())
        deliveries.close()
    assert seen == [compose(stages).options()] * 3
    assert seen[0].threading.max_intra_op_parallelism == 1


RECORD, LABEL = tf.constant("record"), tf.constant(1, tf.int64)
PICTURES = (tf.zeros([8, 4, 4, 3], tf.uint8), tf.zeros([8], tf.int64))


@pytest.mark.parametrize(
    ("element", "storage", "limit"),
    [
        (RECORD, "jpeg", "disk read"),
        (tf.fill([8], "record"), "raw", "disk read"),
        ((RECORD, LABEL), "yuv420", "disk read"),
        (tf.zeros([8], tf.int64), "raw", None),
        (tf.zeros([8], tf.int32), "jpeg", None),
        (PICTURES, "jpeg", "jpeg decode"),
        (PICTURES, "original", "jpeg decode"),
        (PICTURES, "raw", "memory gather"),
        (PICTURES, "yuv420", "memory gather"),
    ],
)
def test_the_limit_is_that_of_what_an_element_is(
    element: Any, storage: StorageName, limit: str | None
) -> None:
    def read(_: tf.data.Dataset, epoch: Epoch) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(element)

    names = limit_names([EpochStage("read", read)], STORAGES[storage])
    assert names == ({"read": limit} if limit else {})


def test_shares() -> None:
    rungs = [
        Rung("shuffle", 900.0, 0.1),
        Rung("decode", 60.0, 0.1),
        Rung("prefetch", 75.0, 0.1),
        Rung("augment", 20.0, 0.1),
        Rung("train step", 10.0, 0.1),
    ]
    names = {"decode": "jpeg decode", "prefetch": "jpeg decode"}
    limits = {"jpeg decode": 100.0, "train step alone": 40.0, "disk read": 900.0}
    assert shares(rungs, names, limits) == {
        "decode": Share("jpeg decode", 0.6),
        "prefetch": Share("jpeg decode", 0.75),
        "train step": Share("train step alone", 0.25),
    }
    # Where all originals are PNGs, there is no JPEG to decode.
    assert not shares(rungs[:3], names, {})
