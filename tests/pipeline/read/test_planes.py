"""Batches of JPEGs' planes against the planes of each stored JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from alexnet.pipeline.augment.layer import Augment
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import AugmentConfig, BuildConfig, Reader, StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.mixture import mix
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.records.jpeg_planes import JPEG_PLANES
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE
from tests.pipeline.read.test_mapped import stored

pytestmark = pytest.mark.usefixtures("libturbojpeg")

BATCH, NUM_TRAIN = 6, 18


@pytest.fixture
def records(record_sets: dict[StorageName, Path]) -> OpenedRecords:
    return open_records(record_sets["jpeg"], decode="planes")


def taken(dataset: Any, count: int) -> np.ndarray:
    return np.concatenate([x[0] for x in dataset.take(count).as_numpy_iterator()])


@pytest.mark.parametrize("reader", ["mmap", "stream"])
def test_batches_hold_the_planes_of_their_jpegs(
    records: OpenedRecords, reader: Reader
) -> None:
    jpegs, _ = stored(records, "image/encoded")
    planes = np.empty((NUM_TRAIN, *JPEG_PLANES.image_shape(SIDE)), np.uint8)
    for out, jpeg in zip(planes, jpegs, strict=True):
        JPEG_PLANES.decode(jpeg, out, records.manifest.config)
    in_order = records.evaluation("train", batch_size=4, reader=reader)
    np.testing.assert_array_equal(taken(in_order.dataset, 5), planes)
    batches = records.train(batch_size=BATCH, reader=reader)
    shape = (BATCH, SIDE * 3 // 2, SIDE)
    assert tuple(batches.dataset.element_spec[0].shape) == shape
    epoch = taken(batches.dataset, NUM_TRAIN // BATCH)
    assert sorted(map(bytes, epoch)) == sorted(map(bytes, planes))


def test_the_order_is_that_of_rgb(records: OpenedRecords) -> None:
    rgb, planes = records.decoded_as("rgb"), records
    keys = [
        [batch[-1].tolist() for batch in x.dataset.take(4).as_numpy_iterator()]
        for x in (x.train(batch_size=BATCH, keys=True) for x in (rgb, planes))
    ]
    assert keys[0] == keys[1]


def test_they_look_like_rgb_behind_augmentation(records: OpenedRecords) -> None:
    augment = Augment(AugmentConfig(geometry="centre"), size=SIDE - 2)
    planes, rgb = (
        augment(taken(x.evaluation(batch_size=6).dataset, 1), training=False)
        for x in (records, records.decoded_as("rgb"))
    )
    # libjpeg cuts off what is darker than black, or brighter than white.
    assert np.abs(np.clip(planes, 0, 1) - rgb).max() < 1.6 / 255


def test_they_are_mixed_with_planes_alone(
    records: OpenedRecords, record_sets: dict[StorageName, Path]
) -> None:
    planes = open_records(record_sets["yuv420"])
    mixed = mix([(records, 1), (planes, 1)]).train(batch_size=4)
    assert taken(mixed.dataset, 1).shape == (4, SIDE * 3 // 2, SIDE)
    with pytest.raises(ConfigError, match="different shapes cannot be mixed"):
        mix([(records, 1), (records.decoded_as("rgb"), 1)])


@pytest.mark.parametrize("storage", ["raw", "yuv420", "original"])
def test_other_storages_have_no_jpeg_planes(
    record_sets: dict[StorageName, Path], storage: StorageName
) -> None:
    told = f"decode is 'planes'; it needs 'rgb' .* holds {storage}, {SIDE} px"
    with pytest.raises(ConfigError, match=told):
        open_records(record_sets[storage], decode="planes")


def test_nor_have_photos_and_odd_sides(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is for `jpeg` records"):
        open_photos(photos).decoded_as("planes")
    config = BuildConfig(side=15, validation_fraction=0)
    build(scan(photos), tmp_path / "odd", config, workers=1)
    with pytest.raises(ConfigError, match=r"holds jpeg, 15 px: .* of an even side"):
        open_records(tmp_path / "odd", decode="planes")


def test_a_data_service_makes_rgb_alone(records: OpenedRecords) -> None:
    with pytest.raises(ConfigError, match="workers of a data service decode to RGB"):
        records.train(batch_size=BATCH, data_service="localhost:1")


def test_an_unknown_way_is_refused(record_sets: dict[StorageName, Path]) -> None:
    with pytest.raises(ConfigError, match="'grey'"):
        open_records(record_sets["jpeg"], decode=cast("Any", "grey"))
