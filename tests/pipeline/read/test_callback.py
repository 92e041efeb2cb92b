"""Datasets that are dropped: what they held goes with them, and not a moment before."""

from __future__ import annotations

import ctypes
import gc
import resource
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.read.callback import fetch_outside, lease
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.image_folder import open_data
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE, flip, slow, smooth_photo, soak
from tests.model.processes import call

NUM_SHARDS = 20
BATCH = 8
READ = ReadConfig(batch_size=BATCH)
KINDS = ("jpeg", "raw", "yuv420", "original", "photos")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """48 photos in a folder, and in record sets of twenty shards to train from."""
    folder = tmp_path_factory.mktemp("sharded")
    photos = folder / "photos"
    photos.mkdir()
    for number in range(48):
        picture = smooth_photo(number, SIDE, SIDE)
        picture.save(photos / f"{'ab'[number % 2]}.{number}.jpg")
    for storage in ("jpeg", "raw", "yuv420", "original"):
        config = BuildConfig(storage=storage, side=SIDE, shards=NUM_SHARDS)
        build(scan(photos), folder / storage, config, workers=1)
    return {kind: folder / kind for kind in KINDS}


def open_files() -> list[str]:
    """What this process has open, by name; a name may be there several times."""
    names = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own
            names.append(str(link.readlink()))
    return names


def held(folder: Path) -> tuple[int, int]:
    """This process's descriptors of files in `folder`, and its maps of them."""
    maps = Path("/proc/self/maps").read_text()
    return "\n".join(open_files()).count(str(folder)), maps.count(str(folder))


def lets_go(folder: Path) -> bool:
    """Whether nothing of `folder` stays open: TensorFlow ends in threads of its own."""
    return comes_true(lambda: held(folder) == (0, 0))


def comes_true(is_true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not is_true() and time.monotonic() < until:
        time.sleep(0.005)
    return is_true()


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """No more than so many besides those that are open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(open_files()) + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """What goes in here goes at once, and not when Python next finds the time."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def use(records: OpenedSet, number: int) -> None:
    """Make a dataset and drop it: read to its end, in mid-epoch, or never begun."""
    if number % 4 == 0:
        for _ in eval_dataset(records, READ):
            pass
        return
    if number % 4 == 3:
        with open_data(records.folder) as opened:
            train = opened.train(batch_size=BATCH, limit=20, keys=True, weights=len)
            dataset = train.dataset
    else:
        dataset = train_dataset(records, READ)
    for _ in zip(range(number % 4 - 1), dataset, strict=False):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_datasets_that_are_dropped_leave_nothing_open(
    data: dict[str, Path], kind: str
) -> None:
    """Of twenty shards each, where thirty more files may be open."""
    records = open_data(data[kind])
    use(records, 1)  # what TensorFlow opens once
    with few_descriptors(30), no_garbage_collection():
        for number in range(8):
            use(records, number)
            assert lets_go(data[kind]), number


@pytest.mark.parametrize("datasets", [slow(48), soak(1000)])
@pytest.mark.parametrize("kind", ["jpeg", "raw"])  # the others are like one of them
def test_datasets_that_are_dropped_leave_the_process_as_it_was(
    data: dict[str, Path], kind: str, datasets: int
) -> None:
    """In one of its own: what other tests hold comes and goes."""
    call(use_many, data[kind], datasets, timeout_seconds=1200)


def use_many(folder: Path, datasets: int) -> None:
    records = open_data(folder)
    for number in range(24):
        use(records, number)
    threads, objects, resident = kept(folder)
    with few_descriptors(30):
        for number in range(datasets):
            use(records, number)
    more_threads, more_objects, more_resident = kept(folder)
    assert more_threads <= threads
    # Of a dataset, TensorFlow itself keeps 17 objects and some 30 kB.
    assert more_objects - objects < datasets * 30
    # Some MB come and go.
    assert more_resident - resident < max(datasets * 60_000, 12_000_000)


def kept(folder: Path) -> tuple[int, int, int]:
    """Threads, Python's objects, and resident bytes of this process."""
    assert lets_go(folder)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free goes back, as far as it can
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads = len(list(Path("/proc/self/task").iterdir()))
    return threads, len(gc.get_objects()), pages * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpeg", "raw"])
def test_an_iterator_reads_on_without_its_dataset(
    data: dict[str, Path], kind: str
) -> None:
    records = open_data(data[kind])
    expected = list(eval_dataset(records, READ).as_numpy_iterator())
    with no_garbage_collection():
        batches = iter(eval_dataset(records, READ))
        first = next(batches)
        time.sleep(0.1)  # the dataset is gone by now
        found = [first, *batches]
        assert held(data[kind]) == (0, len(records.paths("validation")))
        del batches
        assert lets_go(data[kind])
    for batch, true in zip(found, expected, strict=True):
        for part, true_part in zip(batch, true, strict=True):
            np.testing.assert_array_equal(part, true_part)


def test_a_dataset_that_failed_in_mid_epoch_leaves_nothing_open(
    data: dict[str, Path], tmp_path: Path
) -> None:
    records = open_data(Path(shutil.copytree(data["jpeg"], tmp_path / "records")))
    flip(Path(records.paths("train")[3]), 100)
    with no_garbage_collection():
        for _ in range(3):
            with suppress(tf.errors.OpError):
                for _ in train_dataset(records, READ):
                    pass
        assert lets_go(records.folder)


def test_photos_are_let_go_with_the_last_dataset(data: dict[str, Path]) -> None:
    records = open_data(data["photos"])
    gone = weakref.ref(records)
    use(records, 3)
    del records
    assert comes_true(lambda: gone() is None)


# --- the lease itself


class Doubler:
    """Fetches rows from nowhere."""

    def fetch(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = np.zeros((len(rows), SIDE, SIDE, 3), np.uint8)
        return images, 2 * rows.astype(np.int64)


def test_a_lease_keeps_its_owner_until_the_last_of_its_tensors_goes() -> None:
    owner = Doubler()
    alive = weakref.ref(owner)
    with no_garbage_collection():
        tensors = [lease(owner)]
        tensors.append(tf.identity(tensors[0]))
        del owner
        assert alive() is not None
        tensors.pop()
        assert alive() is not None
        tensors.pop()
        assert comes_true(lambda: alive() is None)


def test_a_method_is_called_for_as_long_as_its_owner_is_lent() -> None:
    def traced(owner: Doubler, lent: tf.Tensor) -> Callable[..., Any]:
        def fetch(rows: tf.Tensor, lent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return fetch_outside(owner.fetch, rows, BuildConfig(side=SIDE), lent)

        function: Any = tf.function(fetch)
        return function.get_concrete_function(rows, lent)

    rows, owner = tf.constant([3, 1, 2]), Doubler()
    lent = lease(owner)
    fetch = traced(owner, lent)
    del owner
    gc.collect()
    images, labels = fetch(rows, lent)
    assert images.shape == (3, SIDE, SIDE, 3)
    np.testing.assert_array_equal(labels, [6, 2, 4])
    other = tf.zeros_like(lent)
    del lent
    with pytest.raises(tf.errors.OpError, match="without their lease"):
        fetch(rows, other)
