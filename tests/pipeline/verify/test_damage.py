"""What is wrong with a set is found at the byte where it was put."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import tensorflow as tf

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.read.opened_records import OpenedRecords
from alexnet.pipeline.records.manifest import LABELS, MANIFEST, load_manifest
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.verify.checksums import require_whole_shards
from alexnet.pipeline.verify.damage import BadRecord
from alexnet.pipeline.verify.verify import verify
from tests.conftest import NUM_PHOTOS, SIDE, flip, slow
from tests.pipeline.records.test_manifest import change_manifest

STORAGES = get_args(StorageName)
SHARD = "train-00001-of-00003.tfrecord"
NUM_RECORDS = 6
HEADER, FOOTER = 12, 4


@dataclass(frozen=True)
class Place:
    """Where a record lies in a shard, and the photo and the label it holds."""

    start: int
    end: int
    key: str
    label: int


def places(shard: Path) -> list[Place]:
    """The records of an undamaged shard, as TensorFlow reads them."""
    found, at = [], 0
    for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        (key,) = features["image/filename"].bytes_list.value
        (label,) = features["image/class/label"].int64_list.value
        end = at + HEADER + len(record) + FOOTER
        name = key.decode("utf-8", "surrogateescape")
        found.append(Place(at, end, name, label))
        at = end
    return found


def damaged_part(place: Place, at: int) -> str:
    """The part of a record that the byte at `at` of its shard belongs to."""
    if at - place.start < HEADER:
        return "header"
    return "data" if at < place.end - FOOTER else "footer"


def remove_indexes(folder: Path) -> None:
    shutil.rmtree(folder / "idx", ignore_errors=True)


@pytest.fixture(params=STORAGES)
def folder(
    request: pytest.FixtureRequest, record_sets: dict[StorageName, Path], tmp_path: Path
) -> Path:
    """A record set of each storage that may be spoilt: shards of 6 records."""
    return Path(shutil.copytree(record_sets[request.param], tmp_path / "set"))


@pytest.fixture(params=["with indexes", "without"])
def indexed_or_not(request: pytest.FixtureRequest, folder: Path) -> None:
    """Records are found by index or stride, or by their headers alone."""
    if request.param == "without":
        remove_indexes(folder)


@pytest.fixture
def jpeg(record_sets: dict[StorageName, Path], tmp_path: Path) -> Path:
    """A `jpeg` record set that may be spoilt."""
    return Path(shutil.copytree(record_sets["jpeg"], tmp_path / "set"))


def test_a_whole_set_has_nothing_wrong(folder: Path, indexed_or_not: None) -> None:
    calls: list[tuple[int, int]] = []
    report = verify(folder, lambda *counts: calls.append(counts))
    assert report.bad == ()
    assert report.num_examples == NUM_PHOTOS
    total = sum(path.stat().st_size for path in folder.glob("*.tfrecord"))
    assert (calls[0], calls[-1]) == ((0, total), (total, total))
    assert calls == sorted(calls)


@pytest.mark.parametrize("flips", [25, slow(250)])
def test_every_flipped_byte_is_found_where_it_is(folder: Path, flips: int) -> None:
    draw = random.Random(flips)
    records = {path: places(path) for path in folder.glob("*.tfrecord")}
    for turn in range(flips):
        if turn == flips // 2:
            remove_indexes(folder)
        path = draw.choice(sorted(records))
        at, bits = draw.randrange(path.stat().st_size), draw.randrange(1, 256)
        flip(path, at, bits)
        (bad,) = verify(folder).bad
        flip(path, at, bits)
        number = next(i for i, one in enumerate(records[path]) if at < one.end)
        place = records[path][number]
        assert (bad.shard, bad.record, bad.offset) == (path.name, number, place.start)
        part = damaged_part(place, at)
        assert bad.reason == f"damaged {'header' if part == 'header' else 'data'}"
        if part != "data":
            assert bad.key == place.key
    assert verify(folder).bad == ()


def test_the_photo_is_named_where_its_name_can_be_read(folder: Path) -> None:
    place = places(folder / SHARD)[2]
    content = (folder / SHARD).read_bytes()
    name = content.index(place.key.encode(), place.start)
    flip(folder / SHARD, name - 1)  # the length of the name
    (bad,) = verify(folder).bad
    assert (bad.record, bad.key) == (2, None)
    flip(folder / SHARD, name - 1)
    flip(folder / SHARD, content.index(b"image/format", place.start))
    (bad,) = verify(folder).bad
    assert (bad.record, bad.key) == (2, place.key)


def test_every_damaged_record_of_a_shard_is_named(
    folder: Path, indexed_or_not: None
) -> None:
    records = places(folder / SHARD)
    flip(folder / SHARD, records[0].start)
    flip(folder / SHARD, records[0].end - 1)
    flip(folder / SHARD, records[2].start + 9)
    flip(folder / SHARD, records[5].start + 40)
    found = [(one.record, one.offset, one.reason) for one in verify(folder).bad]
    assert found == [
        (0, 0, "damaged header"),
        (2, records[2].start, "damaged header"),
        (5, records[5].start, "damaged data"),
    ]


def test_zeroed_bytes_are_the_records_they_lie_in(folder: Path) -> None:
    first, *_, last = places(folder / SHARD)[1:4]
    content = bytearray((folder / SHARD).read_bytes())
    content[first.start + 20 : last.start + 20] = bytes(last.start - first.start)
    (folder / SHARD).write_bytes(content)
    assert [one.record for one in verify(folder).bad] == [1, 2, 3]
    remove_indexes(folder)
    assert verify(folder).bad[0].offset == first.start


@pytest.mark.parametrize("kept", ["nothing", "a few bytes", "half a record", "four"])
def test_a_cut_shard_is_told_from_its_first_lost_record_on(
    folder: Path, indexed_or_not: None, kept: str
) -> None:
    records = places(folder / SHARD)
    size = {
        "nothing": 0,
        "a few bytes": 5,
        "half a record": (records[3].start + records[3].end) // 2,
        "four": records[4].start,
    }[kept]
    lost = next(i for i, place in enumerate(records) if place.end > size)
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes()[:size])
    (bad,) = verify(folder).bad
    assert (bad.shard, bad.record, bad.offset) == (SHARD, lost, records[lost].start)
    assert bad.reason == (
        f"the file has {size} bytes, {records[-1].end} were written: records {lost} to"
        " 5 are lost"
    )


@pytest.mark.parametrize("garbage", [b"x", bytes(16), bytes(range(256)) * 30])
def test_bytes_after_the_last_record_are_told(
    folder: Path, indexed_or_not: None, garbage: bytes
) -> None:
    end = (folder / SHARD).stat().st_size
    with (folder / SHARD).open("ab") as file:
        file.write(garbage)
    reason = f"the file has {end + len(garbage)} bytes, {end} were written"
    assert verify(folder).bad == (BadRecord(SHARD, None, end, None, reason),)


def test_bytes_put_in_between_are_told_from_there_on(
    folder: Path, indexed_or_not: None
) -> None:
    place = places(folder / SHARD)[2]
    content = (folder / SHARD).read_bytes()
    at = place.start + 50
    (folder / SHARD).write_bytes(content[:at] + b"stray" + content[at:])
    first, *_ = bad = verify(folder).bad
    assert (first.record, first.offset) == (2, place.start)
    assert f"{len(content) + 5} bytes, {len(content)} were written" in bad[-1].reason


def test_a_missing_shard_and_one_that_cannot_be_read(folder: Path) -> None:
    (folder / SHARD).unlink()
    (bad,) = verify(folder).bad
    assert bad == BadRecord(SHARD, None, None, None, "is missing")
    (folder / SHARD).mkdir()
    (bad,) = verify(folder).bad
    assert bad == BadRecord(SHARD, None, None, None, "cannot be read: Is a directory")


def test_another_whole_shard_in_its_place_is_told(
    record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(record_sets["raw"], tmp_path / "set"))
    shutil.copy(folder / SHARD, folder / SHARD.replace("1", "0", 1))
    (bad,) = verify(folder).bad
    assert bad.shard == SHARD.replace("1", "0", 1)
    assert bad.reason.startswith("every record is whole, but")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"0 ", b"1 ", 1),
        lambda text: text.replace(b"\n", b"x", 1),
        lambda text: text[:-1] + b"\xff",
        lambda text: text + b"1",
        lambda text: b"",
    ],
)
def test_a_damaged_index_is_named_beside_its_whole_shard(
    jpeg: Path, change: Callable[[bytes], bytes]
) -> None:
    index = (jpeg / "idx" / SHARD).with_suffix(".idx")
    index.write_bytes(change(index.read_bytes()))
    (bad,) = verify(jpeg).bad
    assert (bad.shard, bad.record, bad.offset) == (f"idx/{index.name}", None, None)
    assert "delete it, or let `records verify --repair`" in bad.reason
    records = places(jpeg / SHARD)
    flip(jpeg / SHARD, records[4].start)  # found without the index
    (bad,) = verify(jpeg).bad
    assert (bad.shard, bad.record) == (SHARD, 4)


@pytest.mark.parametrize("content", [None, b"dog\ncat\n", b"cat\n", b"cat\r\ndog\r\n"])
def test_wrong_class_names_are_told(jpeg: Path, content: bytes | None) -> None:
    (jpeg / LABELS).unlink()
    if content is not None:
        (jpeg / LABELS).write_bytes(content)
    (bad,) = verify(jpeg).bad
    assert (bad.shard, bad.record) == (LABELS, None)


def test_labels_beyond_the_classes_are_told(folder: Path) -> None:
    def leave_cat_alone(values: dict[str, Any]) -> None:
        values["class_names"].pop()
        for card in values["splits"].values():
            card["class_counts"] = [sum(card["class_counts"])]

    change_manifest(folder, leave_cat_alone)
    (folder / LABELS).write_text("cat\n")
    expected = [
        BadRecord(path.name, i, one.start, one.key, "label 1, the last class is 0")
        for path in sorted(folder.glob("*.tfrecord"))
        for i, one in enumerate(places(path))
        if one.label == 1
    ]
    assert len(expected) == NUM_PHOTOS // 2
    bad = verify(folder).bad
    assert [one for one in bad if one.record is not None] == expected
    assert {one.shard for one in bad if one.record is None} == {MANIFEST}


@pytest.mark.parametrize("field", ["class_counts", "num_examples"])
def test_wrong_counts_in_the_manifest_are_told(jpeg: Path, field: str) -> None:
    def change(values: dict[str, Any]) -> None:
        card = values["splits"]["train"]
        if field == "class_counts":
            card["class_counts"] = [8, 10]
        else:
            card["shards"][0]["num_examples"] -= 1
            card["shards"][1]["num_examples"] += 1

    change_manifest(jpeg, change)
    found = [one for one in verify(jpeg).bad if one.shard == MANIFEST]
    reason = "its counts are not those of the train shards"
    assert found == [BadRecord(MANIFEST, None, None, None, reason)]


def test_a_wrong_size_in_the_manifest_is_told(jpeg: Path) -> None:
    size = (jpeg / SHARD).stat().st_size

    def change(values: dict[str, Any]) -> None:
        values["splits"]["train"]["shards"][1]["num_bytes"] = size - 1

    change_manifest(jpeg, change)
    reason = f"the file has {size} bytes, {size - 1} were written"
    assert verify(jpeg).bad == (BadRecord(SHARD, None, size - 1, None, reason),)


def test_only_the_shards_that_are_asked_for_are_read(jpeg: Path) -> None:
    flip(jpeg / SHARD, 30)
    assert verify(jpeg, names=[SHARD.replace("1", "2", 1)]).bad == ()
    assert len(verify(jpeg, names=[SHARD]).bad) == 1


def test_an_interrupt_ends_it(jpeg: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(jpeg, interrupt)


def test_a_whole_set_without_held_out_photos_is_no_error(
    photos: Path, tmp_path: Path
) -> None:
    config = BuildConfig(side=SIDE, validation_fraction=0)
    build(scan(photos), tmp_path, config, workers=1)
    require_whole_shards(OpenedRecords(tmp_path, load_manifest(tmp_path)))
    assert verify(tmp_path).bad == ()
