"""Photos at a URL, read as they are, against the same photos in a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from alexnet.pipeline.config import BuildConfig, ReadConfig
from alexnet.pipeline.errors import DataError, RemoteError
from alexnet.pipeline.read.dataset import eval_dataset, train_dataset
from alexnet.pipeline.read.errors import reading
from alexnet.pipeline.read.image_folder import PhotoSet, open_data
from alexnet.pipeline.remote import retry, transfer
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.source import remote_store
from tests.conftest import NUM_PHOTOS, SIDE, every_s3
from tests.pipeline.read.test_image_folder import (
    as_table,
    as_tar,
    as_zip,
    assert_same,
    batches,
)
from tests.remote import link_to, upload
from tests.s3 import S3
from tests.web_store import serve

CONFIG = BuildConfig(storage="original", side=SIDE)
READ = ReadConfig(batch_size=5)
TRAIN = NUM_PHOTOS * 3 // 4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.02)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


def opened(place: Path | Location) -> PhotoSet:
    data = open_data(place, CONFIG)
    assert isinstance(data, PhotoSet)
    return data


@every_s3
def test_a_bucket_gives_a_folders_batches(photos: Path, bucket: Location) -> None:
    upload(photos, bucket / "train")
    here, there = opened(photos), opened(bucket / "train")
    assert there.place == bucket / "train"
    assert there.manifest.fingerprint == here.manifest.fingerprint
    for split in ("train", "validation"):  # the last batch is filled up with copies
        assert_same(
            batches(eval_dataset(there, READ, split)),
            batches(eval_dataset(here, READ, split)),
        )
    steps = 2 * (TRAIN // 5)
    whole = batches(train_dataset(here, READ).take(steps))
    assert_same(batches(train_dataset(there, READ).take(steps)), whole)
    resumed = train_dataset(there, READ, first_epoch=1, first_step=1)
    assert_same(batches(resumed.take(2)), whole[TRAIN // 5 + 1 :])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pack", "name"), [(as_zip, "a.zip"), (as_tar, "a.tar"), (as_table, "a.csv")]
)
def test_archives_and_tables_do_too(
    photos: Path,
    tmp_path: Path,
    bucket: Location,
    pack: Callable[[Path, Path], Path],
    name: str,
) -> None:
    (tmp_path / "packed").mkdir()
    packed = pack(photos, tmp_path / "packed" / name)
    upload(packed.parent, bucket)
    sets = opened(packed), opened(bucket / packed.name)
    for make in (train_dataset, eval_dataset):
        assert_same(*(batches(make(data, READ).take(4)) for data in sets))


def test_a_photo_is_fetched_once_an_epoch(photos: Path, tmp_path: Path) -> None:
    table = as_table(photos, tmp_path / "a.csv")
    with serve(table.parent) as store:
        there = opened(Location(f"{store.url}/{table.name}"))
        before = store.sent.copy()
        batches(eval_dataset(there, ReadConfig(batch_size=TRAIN + 7), "train"))
        sent = store.sent - before
        names = [Path(file.key).name for file in there.files["train"]]
        # And not seven times more, though copies of one fill up the batch.
        assert sorted(sent.elements()) == sorted(names)


def test_many_are_fetched_at_a_time(
    photos: Path, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four meet: more than there are threads that decode."""
    together, met, fetch = threading.Barrier(4), list[Location](), transfer.fetch_range

    def fetch_when_four_do(source: Location, start: int, num_bytes: int) -> bytes:
        if not met:
            together.wait(250)
            met.append(source)
        return fetch(source, start, num_bytes)

    upload(photos, bucket)
    there = opened(bucket)
    monkeypatch.setattr("alexnet.pipeline.read.decode.num_cpus", lambda: 1)
    monkeypatch.setattr(remote_store, "fetch_range", fetch_when_four_do)
    batches(eval_dataset(there, READ, "train").take(1))
    assert met


@pytest.mark.slow
def test_an_outage_is_a_pause_and_a_long_one_an_error(
    s3: S3, photos: Path, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(photos, bucket)
    with link_to(s3) as link:
        there = opened(Location(bucket.url, {"endpoint_url": link.endpoint}))
        link.down()
        threading.Timer(0.3, link.up).start()
        assert len(batches(eval_dataset(there, READ, "train"))) == -(-TRAIN // 5)
        monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.1)
        link.down()
        with (
            pytest.raises(DataError, match=r"^s3://.*\.jpg has not answered .* go on"),
            reading(there),
        ):
            batches(eval_dataset(there, READ, "train"))
        with pytest.raises(RemoteError, match="has not answered"):
            open_data(there.place, CONFIG)


@pytest.mark.slow
def test_what_cannot_be_used_is_named(photos: Path, bucket: Location) -> None:
    upload(photos, bucket / "train")
    key = opened(bucket / "train").files["train"][0].key
    (bucket / "train" / key).write_bytes(b"not a photo")
    there = opened(bucket / "train")
    remedy = r"cannot be used: .*`alexnet records build`"
    with (
        pytest.raises(DataError, match=rf"^{bucket}/train/{key} {remedy}"),
        reading(there),
    ):
        batches(eval_dataset(there, READ, "train"))
    (bucket / "train" / key).unlink()
    with (
        pytest.raises(DataError, match=rf"{key} cannot be read: No such file"),
        reading(there),
    ):
        batches(eval_dataset(there, READ, "train"))


def test_what_is_neither_is_named(bucket: Location) -> None:
    with pytest.raises(DataError, match=rf"^no such folder: {bucket}/none\. .*record"):
        open_data(bucket / "none")
    (bucket / "texts/a.txt").write_bytes(b"text")
    with pytest.raises(DataError, match=r"texts is no record set .* no images in s3:"):
        open_data(bucket / "texts")
    (bucket / "set/dataset.json").write_bytes(b"{")
    with pytest.raises(DataError, match=r"set/dataset\.json is damaged or of another"):
        open_data(bucket / "set")


@pytest.mark.slow
@every_s3
def test_records_are_records(
    record_sets: dict[str, Path], bucket: Location, tmp_path: Path
) -> None:
    upload(record_sets["jpeg"], bucket / "records")
    read = ReadConfig(batch_size=5, cache=str(tmp_path / "cache"))
    there, here = (
        open_data(bucket / "records", read=read),
        open_data(record_sets["jpeg"]),
    )
    assert there.kind == "records" and there.place == bucket / "records"
    in_turn = ReadConfig(batch_size=5, reader="mmap")
    taken: list[list[tf.Tensor]] = []
    for records in (there, here):
        taken.append(batches(train_dataset(records, in_turn).take(6)))
    assert_same(*taken)
