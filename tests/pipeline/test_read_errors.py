"""A disk that fails ends what reads it, costs no photo, and is gone on from."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tensorflow as tf

import alexnet.pipeline.source.source_file
import alexnet.pipeline.verify.repair
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.encode_job import EncodeJob
from alexnet.pipeline.build.encoder import encoder
from alexnet.pipeline.build.plan import ShardPlan, make_plan
from alexnet.pipeline.config import BuildConfig, ReadConfig, StorageName
from alexnet.pipeline.errors import BadImage, ReadError, data_error_in
from alexnet.pipeline.read.dataset import eval_dataset
from alexnet.pipeline.read.image_folder import open_photos
from alexnet.pipeline.records.image import read_image
from alexnet.pipeline.source.scan import ImageFile, Source, scan
from alexnet.pipeline.verify.repair import find_origin, repair
from alexnet.pipeline.verify.verify import verify
from tests.conftest import NUM_PHOTOS, SIDE, slow
from tests.pipeline.build.test_build import content
from tests.pipeline.deadly import DeadlyJob, KeyStore
from tests.pipeline.failing import OUT_OF_MEMORY, FailingStore

CONFIG = BuildConfig(side=SIDE, shards=3)
ORIGINALS = replace(CONFIG, storage="original")
FAILURES = [errno.EIO, errno.EACCES, OUT_OF_MEMORY]


@pytest.fixture
def whole(record_sets: dict[StorageName, Path]) -> dict[str, bytes]:
    return content(record_sets["jpeg"])


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process; workers wait."""
    monkeypatch.setattr(alexnet.pipeline.source.source_file, "WAIT_SECONDS", (0, 0))


def shards_of(source: Source) -> tuple[ShardPlan, ...]:
    return make_plan(source.files, source.class_names, CONFIG).shards


@dataclass(frozen=True)
class Failing:
    """A source of `photos` of which one photo in the second shard cannot be read."""

    source: Source
    key: str
    marker: Path

    def mend(self) -> None:
        self.marker.unlink()


def failing(photos: Path, tmp_path: Path, number: int) -> Failing:
    source, marker = scan(photos), tmp_path / "failing"
    marker.touch()
    key = shards_of(source)[1].files[2].key
    store = FailingStore(photos, marker, {key: number})
    return Failing(replace(source, store=store), key, marker)


@pytest.mark.parametrize(
    ("workers", "number"), [*((1, number) for number in FAILURES), slow(2, errno.EIO)]
)
def test_a_photo_that_cannot_be_read_ends_a_build_that_goes_on_later(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], number: int, workers: int
) -> None:
    disk, out = failing(photos, tmp_path, number), tmp_path / "out"
    for _ in range(2):
        with pytest.raises(ReadError) as error:
            build(disk.source, out, CONFIG, workers=workers, max_bad=1)
        name = os.strerror(errno.ENOMEM if number == OUT_OF_MEMORY else number)
        said = str(error.value)
        assert said.startswith(f"{photos / disk.key} cannot be read: {name}. ")
        assert said.endswith(
            " Then run the same command again to go on: finished shards are kept in"
            f" {out}."
        )
        # One worker or more: what comes before it is kept, and nothing is set aside.
        kept = [path.name for path in out.glob("[!.]*")]
        assert kept == ["train-00000-of-00003.tfrecord"]
    disk.mend()
    report = build(disk.source, out, CONFIG, workers=workers)
    assert report.encoded == NUM_PHOTOS - 6
    assert report.quarantined == ()
    assert content(out) == whole


@pytest.mark.slow
@pytest.mark.parametrize("beam", [(), ("--direct_running_mode=multi_processing",)])
def test_a_photo_that_a_worker_of_beam_cannot_read_ends_the_build(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], beam: tuple[str, ...]
) -> None:
    disk, out = failing(photos, tmp_path, errno.EIO), tmp_path / "out"
    with pytest.raises(ReadError) as error:
        build(disk.source, out, CONFIG, max_bad=1, beam=beam, workers=1)
    said = str(error.value)
    assert said.startswith(f"{photos / disk.key} cannot be read: Input/output error. ")
    assert said.endswith(f"finished shards are kept in {out}.")
    assert not (out / shards_of(disk.source)[1].name).exists()
    disk.mend()
    assert build(disk.source, out, CONFIG, beam=beam).quarantined == ()
    assert content(out) == whole


@pytest.mark.parametrize("beam", [None, slow(())], ids=["local", "beam"])
def test_a_source_that_workers_cannot_see_is_no_heap_of_bad_photos(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], beam: tuple[str, ...] | None
) -> None:
    mounted, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(photos, mounted)
    source = scan(mounted)
    mounted.rename(tmp_path / "unmounted")
    mounted.mkdir()  # the mount point
    with pytest.raises(ReadError, match="The whole source is gone: bring it back"):
        build(source, out, CONFIG, workers=1, max_bad=1, beam=beam)
    lists = {name for name in content(out) if name.endswith(".files.json")}  # Beam's
    assert content(out).keys() - lists == {".build/settings.json"}
    mounted.rmdir()
    (tmp_path / "unmounted").rename(mounted)
    build(source, out, CONFIG, workers=1, beam=beam)
    assert content(out) == whole


@pytest.mark.parametrize("beam", [None, slow(())], ids=["local", "beam"])
def test_what_a_table_names_and_is_not_there_is_set_aside(
    photos: Path, tmp_path: Path, beam: tuple[str, ...] | None
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(photos, folder)
    rows = [f"{p.relative_to(folder)},{p.parent.name}" for p in folder.rglob("*.jpg")]
    odd = ["cat/none.jpg", "none/1.jpg", f"{'long' * 99}.jpg", "cat", "cat/00.jpg/x"]
    lines = ["filename,label", *rows, *(f"{name},cat" for name in odd)]
    (folder / "labels.csv").write_text("\n".join(lines))
    report = build(scan(folder), out, CONFIG, workers=1, max_bad=0.2, beam=beam)
    reasons = {bad.key: bad.reason for bad in report.quarantined}
    assert reasons == {
        "cat/none.jpg": "cannot be read: No such file or directory",
        "none/1.jpg": "cannot be read: No such file or directory",
        odd[2]: "cannot be read: File name too long",
        "cat": "cannot be read: not a regular file",
        "cat/00.jpg/x": "cannot be read: Not a directory",
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_read_before_is_given_before_the_error(
    photos: Path, tmp_path: Path, workers: int
) -> None:
    disk = failing(photos, tmp_path, errno.EIO)
    names = disk.source.class_names
    job = EncodeJob(disk.source.store, names, CONFIG, None)
    files = list(disk.source.files)
    place = [file.key for file in files].index(disk.key)
    given = []
    with encoder(job, workers, 2000) as encode, pytest.raises(ReadError):
        for result in encode(files):
            given.append(result)
    assert len(given) == place
    assert all(result.record for result in given)
    # Of a disk that is gone only the first photo is waited for.
    assert disk.marker.read_text().split("\n")[:-1] == [disk.key] * 3


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGKILL, "signal 9, out of memory?"),
        slow(signal.SIGTERM, "signal 15"),
    ],
)
def test_a_process_that_is_killed_speaks_against_no_photo(
    number: int, ending: str
) -> None:
    job = DeadlyJob(KeyStore(), ("cat",), BuildConfig(), None)
    keys = [*"abc", f"kill {int(number)}", "d"]
    given = []
    with encoder(job, 2, 1000) as encode, pytest.raises(ReadError) as error:
        for result in encode([ImageFile(key, 0, 1) for key in keys]):
            given.append(result)
    assert [result.reason for result in given] == [f"seen {key}" for key in "abc"]
    assert str(error.value).startswith(
        f"kill {int(number)}: 2 processes were killed while they decoded it ({ending})."
    )
    assert "Give fewer `workers`" in str(error.value)


@pytest.mark.parametrize("number", FAILURES)
def test_a_repair_that_cannot_read_says_so_and_goes_on_later(
    photos: Path, tmp_path: Path, whole: dict[str, bytes], number: int
) -> None:
    disk, out = failing(photos, tmp_path, number), tmp_path / "out"
    build(scan(photos), out, CONFIG, workers=1)
    for shard in shards_of(disk.source)[:2]:
        (out / shard.name).write_bytes(b"rotten")
    origin = replace(find_origin(out, photos), source=disk.source)
    with pytest.raises(ReadError) as error:
        repair(verify(out), origin)
    said = str(error.value)
    assert said.startswith(f"{photos / disk.key} cannot be read: ")
    assert "other bytes" not in said
    assert said.endswith(
        "run the same command again to go on: no shard was left half written."
    )
    assert [one.shard for one in verify(out).bad] == [shards_of(disk.source)[1].name]
    disk.mend()
    repair(verify(out), origin)
    assert content(out) == whole


@pytest.mark.parametrize("number", FAILURES)
def test_training_from_photos_names_the_one_that_cannot_be_read(
    photos: Path, tmp_path: Path, number: int
) -> None:
    disk = failing(photos, tmp_path, number)
    records = replace(open_photos(photos, ORIGINALS), source=disk.source)
    with pytest.raises(tf.errors.OpError) as error:
        list(eval_dataset(records, ReadConfig(batch_size=5), "train"))
    said = str(data_error_in(error.value))
    assert said.startswith(f"{photos / disk.key} cannot be read: ")
    assert "set such files aside" not in said  # which no build would
    disk.mend()
    assert len(list(eval_dataset(records, ReadConfig(batch_size=18), "train"))) == 1


def test_a_picture_that_takes_more_memory_than_there_is_is_no_bad_image(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    data = (photos / "cat" / "00.jpg").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", full)
        with pytest.raises(MemoryError):
            read_image(data)
        records = open_photos(photos, ORIGINALS)
        with pytest.raises(tf.errors.OpError) as error:
            list(eval_dataset(records, ReadConfig(batch_size=5), "train"))
    assert "takes more memory than there is" in str(data_error_in(error.value))
    with pytest.raises(BadImage):
        read_image(data[:100])
