"""Batches of a data service against those that this process makes, to the last bit."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, ReadConfig, StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.read import batch_arrivals
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.read.mixture import mix
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.order import PipelineShard
from alexnet.pipeline.service import address as service_address
from alexnet.pipeline.service.servers import service
from alexnet.pipeline.source.scan import scan
from tests.conftest import flip, slow, smooth_photo
from tests.model.processes import call
from tests.pipeline.service.hosts import Hosts, in_process_service

BATCH = 4
CONFIG = ReadConfig(batch_size=BATCH, reader="mmap")
# Of the records that workers die over: enough to be in the midst of.
MANY, MANY_EPOCHS = 96, 3

Batch = tuple[np.ndarray, ...]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A dispatcher with two workers."""
    with in_process_service() as address:
        yield address


@pytest.fixture
def records(record_sets: dict[StorageName, Path]) -> OpenedRecords:
    return open_records(record_sets["jpeg"])


def taken(dataset: tf.data.Dataset, count: int = -1) -> list[Batch]:
    return list(dataset.take(count).as_numpy_iterator())


def require_equal(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("storage", ["jpeg", *map(slow, ("yuv420", "raw"))])
def test_training_batches_are_those_of_this_process(
    storage: StorageName, record_sets: dict[StorageName, Path], address: str
) -> None:
    """Over the end of an epoch, and from the midst of one on."""
    records = open_records(record_sets[storage])
    ours = train_dataset(records, CONFIG, data_service=address)
    assert ours.element_spec == train_dataset(records, CONFIG).element_spec
    require_equal(taken(ours, 10), taken(train_dataset(records, CONFIG), 10))
    later = train_dataset(records, CONFIG, None, None, 1, 2, data_service=address)
    require_equal(taken(later, 4), taken(train_dataset(records, CONFIG), 10)[6:])


@pytest.mark.slow
@pytest.mark.parametrize(("pad", "split"), [(True, "validation"), (False, "train")])
def test_evaluation_batches_are_those_of_this_process(
    pad: bool, split: str, records: OpenedRecords, address: str
) -> None:
    ours = eval_dataset(records, CONFIG, split, pad=pad, data_service=address)
    theirs = eval_dataset(records, CONFIG, split, pad=pad)
    assert ours.element_spec == theirs.element_spec
    for _ in range(2):  # anew with every iterator
        require_equal(taken(ours), taken(theirs))


@pytest.mark.slow
def test_a_pipeline_of_several_has_its_part(
    records: OpenedRecords, address: str
) -> None:
    shard = PipelineShard(BATCH, 4, 2, 1)
    ours = train_dataset(records, CONFIG, shard, None, 0, 1, data_service=address)
    require_equal(
        taken(ours, 12), taken(train_dataset(records, CONFIG, shard, None, 0, 1), 12)
    )
    evaluated = eval_dataset(records, CONFIG, shard=shard, data_service=address)
    require_equal(taken(evaluated), taken(eval_dataset(records, CONFIG, shard=shard)))


@pytest.mark.slow
def test_what_was_selected_goes_with_the_batches(
    records: OpenedRecords, address: str
) -> None:
    chosen: dict[str, Any] = {
        "batch_size": 3,
        "classes": ["dog"],
        "limit": 8,
        "keys": True,
        "weights": len,
        "labels": lambda key: [len(key), 2.0],
    }
    ours = records.train(**chosen, data_service=address)
    require_equal(taken(ours.dataset, 5), taken(records.train(**chosen).dataset, 5))
    held_out = records.evaluation("train", **chosen, size=12, data_service=address)
    expected = records.evaluation("train", **chosen, size=12)
    require_equal(taken(held_out.dataset), taken(expected.dataset))


@pytest.mark.slow
def test_several_sets_are_mixed(
    record_sets: dict[StorageName, Path], address: str
) -> None:
    sets: list[tuple[OpenedSet, float]] = [
        (open_records(record_sets["jpeg"]), 0.5),
        (open_records(record_sets["raw"]), 0.5),
    ]
    ours = mix(sets).train(batch_size=4, data_service=address).dataset
    require_equal(taken(ours, 6), taken(mix(sets).train(batch_size=4).dataset, 6))


@pytest.mark.slow
def test_a_batch_shared_by_replicas(records: OpenedRecords, address: str) -> None:
    """As a strategy asks for it, with its own iterators."""
    strategy = tf.distribute.OneDeviceStrategy("/CPU:0")
    batches = records.train(batch_size=BATCH, data_service=address)
    found = iter(batches.distribute(strategy))
    expected = taken(records.train(batch_size=BATCH).dataset, 5)
    require_equal([tuple(t.numpy() for t in next(found)) for _ in range(5)], expected)


def test_a_damaged_record_is_named(
    records: OpenedRecords, address: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(records.folder, tmp_path / "records")
    damaged = open_records(folder)
    flip(Path(damaged.paths("train")[1]), 300)
    dataset = train_dataset(damaged, CONFIG, data_service=address)
    with pytest.raises(tf.errors.OpError, match=r"DataError: .*train-00001-of-00003"):
        taken(dataset, 8)


def test_records_that_cannot_be_read_by_row_are_refused(
    record_sets: dict[StorageName, Path], photos: Path, address: str
) -> None:
    with pytest.raises(ConfigError, match="they hold original files"):
        open_records(record_sets["original"]).train(batch_size=4, data_service=address)
    with pytest.raises(ConfigError, match="holds images"):
        open_photos(photos).train(batch_size=4, data_service=address)
    with pytest.raises(ConfigError, match=r"Leave out `reader` or `data_service`"):
        open_records(record_sets["raw"]).train(
            batch_size=4, data_service=address, reader="stream"
        )


def require_workers_are_missed(folder: Path) -> None:
    """In a process of its own, where TensorFlow goes on asking a service that went."""
    batch_arrivals.SILENT_SECONDS, batch_arrivals.LATE_SECONDS = 0.5, 0.1
    with in_process_service(workers=0) as empty:
        dataset = train_dataset(open_records(folder), CONFIG, data_service=empty)
        with pytest.raises(tf.errors.OpError, match="ReadError: the data service at"):
            taken(dataset, 1)


@pytest.mark.slow
def test_a_service_that_has_no_workers_is_an_error(
    record_sets: dict[StorageName, Path],
) -> None:
    call(require_workers_are_missed, record_sets["jpeg"])


def test_another_tensorflow_is_refused(
    records: OpenedRecords, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf, "__version__", "2.99.0")
    message = r"ReadError: .* runs TensorFlow 2\.\d+\.\d+, and this is 2.99.0. Install"
    with pytest.raises(tf.errors.OpError, match=message):
        taken(train_dataset(records, CONFIG, data_service=address), 1)


def test_another_s_dispatcher_is_refused(
    records: OpenedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_address, "WAIT_SECONDS", 0)
    server = service.DispatchServer()
    address = server.target.partition("://")[2]
    with pytest.raises(tf.errors.OpError, match=f"{address} is no dispatcher that"):
        taken(train_dataset(records, CONFIG, data_service=address), 1)
    server.stop()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> OpenedRecords:
    """Pictures that are told apart by their pixels, in four shards."""
    photos = tmp_path_factory.mktemp("many-photos")
    for number in range(MANY):
        smooth_photo(number, 16, 16).save(photos / f"{'ab'[number % 2]}.{number}.png")
    folder = tmp_path_factory.mktemp("many") / "records"
    config = BuildConfig(side=16, shards=4, validation_fraction=0)
    build(scan(photos), folder, config, workers=1)
    return open_records(folder)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    found = Hosts(tmp_path)
    yield found
    found.close()


def read_with(
    many: OpenedRecords, address: object, events: dict[int, Any]
) -> list[Batch]:
    """The batches of some epochs; before some of them, something happens."""
    dataset = train_dataset(many, CONFIG, data_service=str(address))
    batches: list[Batch] = []
    for number, batch in enumerate(dataset.as_numpy_iterator()):
        if number == MANY_EPOCHS * MANY // BATCH:
            return batches
        events.get(number, lambda: None)()
        batches.append(batch)
    raise AssertionError("the batches have an end")


@pytest.mark.slow
def test_workers_that_die_and_join_in_mid_epoch_change_nothing(
    many: OpenedRecords, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example is there once in every epoch, and in the very place it had."""
    monkeypatch.setattr(batch_arrivals, "LATE_SECONDS", 0.2)
    dispatcher = hosts.dispatcher()
    first = hosts.worker(dispatcher)
    hosts.worker(dispatcher)
    events = {7: first.kill, 31: lambda: hosts.worker(dispatcher)}
    found = read_with(many, dispatcher.address, events)
    require_equal(found, taken(train_dataset(many, CONFIG), len(found)))
    epoch = MANY // BATCH
    for start in range(0, len(found), epoch):
        images = np.concatenate([images for images, _ in found[start : start + epoch]])
        assert len({image.tobytes() for image in images}) == MANY


@pytest.mark.slow
def test_a_dispatcher_that_is_started_again_changes_nothing(
    many: OpenedRecords, hosts: Hosts
) -> None:
    """One worker comes back to it, another is told to go while there is none."""
    dispatcher = hosts.dispatcher()
    leaving = hosts.worker(dispatcher)
    hosts.worker(dispatcher)

    def restart() -> None:
        dispatcher.kill()
        assert leaving.stop() == 128 + signal.SIGTERM
        hosts.dispatcher("--port", dispatcher.address.port)

    found = read_with(many, dispatcher.address, {9: restart})
    require_equal(found, taken(train_dataset(many, CONFIG), len(found)))


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_hosts_end_when_they_are_asked_to(signal_number: int, hosts: Hosts) -> None:
    dispatcher = hosts.dispatcher()
    worker = hosts.worker(dispatcher)
    assert worker.report == {
        "address": f"localhost:{worker.address.port}",
        "dispatcher": str(dispatcher.address),
        "tensorflow": tf.__version__,
    }
    for host in (worker, dispatcher):
        assert host.stop(signal_number) == 128 + signal_number
        assert "stopped" in host.log.with_suffix(".err").read_text()


def require_error_of_worker(folder: Path, address: str, message: str) -> None:
    """In a process of its own, which sees the records as its machine does."""
    os.chdir(folder)
    records = open_records("/proc/self/cwd/records")
    dataset = train_dataset(records, CONFIG, data_service=address)
    expected = (
        "DataError: the records are in /proc/self/cwd/records, and a worker of the data"
        f" service at {address} {message}"
    )
    with pytest.raises(tf.errors.OpError, match=expected):
        taken(dataset, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "message"),
    [(False, "does not find them"), (True, "finds others there")],
)
def test_a_worker_without_the_records_is_told(
    there: bool,
    message: str,
    record_sets: dict[StorageName, Path],
    hosts: Hosts,
    tmp_path: Path,
) -> None:
    """Under a path that each process sees otherwise, as each machine does its own."""
    sets: dict[str, StorageName] = {"trainer": "jpeg", "worker": "raw"}
    for name, storage in sets.items():
        (tmp_path / name).mkdir()
        if there or name == "trainer":
            shutil.copytree(record_sets[storage], tmp_path / name / "records")
    dispatcher = hosts.dispatcher()
    hosts.worker(dispatcher, tmp_path / "worker")
    address = str(dispatcher.address)
    call(require_error_of_worker, tmp_path / "trainer", address, message)
