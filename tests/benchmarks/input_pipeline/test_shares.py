"""Which limit a rung has, and its share of it."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from alexnet.benchmarks.input_pipeline.ladder import Rung
from alexnet.benchmarks.input_pipeline.shares import Share, limit_of, shares
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.records.storage import STORAGES

RECORD, LABEL = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)
BATCH = (tf.TensorSpec([8, 4, 4, 3], tf.uint8), tf.TensorSpec([8], tf.int64))


@pytest.mark.parametrize(
    ("element", "storage", "limit"),
    [
        (RECORD, "jpeg", "disk read"),
        (tf.TensorSpec([8], tf.string), "raw", "disk read"),
        ((RECORD, LABEL), "yuv420", "disk read"),
        (tf.TensorSpec([8], tf.int64), "raw", None),
        (tf.TensorSpec([8], tf.int32), "jpeg", None),
        (BATCH, "jpeg", "jpeg decode"),
        (BATCH, "original", "jpeg decode"),
        (BATCH, "raw", "memory gather"),
        (BATCH, "yuv420", "memory gather"),
    ],
)
def test_the_limit_is_that_of_what_an_element_is(
    element: Any, storage: StorageName, limit: str | None
) -> None:
    assert limit_of(element, STORAGES[storage]) == limit


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
