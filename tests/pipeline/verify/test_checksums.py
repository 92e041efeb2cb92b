"""Shards are checked once on a machine; what was found whole is remembered."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import alexnet.pipeline.verify.checksums
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.opened_records import OpenedRecords, open_records
from alexnet.pipeline.records.tfrecord import frame
from alexnet.pipeline.verify.checksums import check_shards, require_whole_shards
from tests.conftest import flip

TRAIN = [f"train-{index:05d}-of-00003.tfrecord" for index in range(3)]
VALIDATION = "validation-00000-of-00001.tfrecord"


@pytest.fixture
def folder(record_sets: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(record_sets["raw"], tmp_path / "records"))


@pytest.fixture
def records(folder: Path) -> OpenedRecords:
    return open_records(folder)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has checked nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "alexnet" / "checked"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are read through, as it happens."""
    names: list[str] = []
    checksum = alexnet.pipeline.verify.checksums.file_checksum

    def counting(path: Path) -> int:
        names.append(path.name)
        return checksum(path)

    monkeypatch.setattr(alexnet.pipeline.verify.checksums, "file_checksum", counting)
    return names


def taken(names: list[str]) -> list[str]:
    """What was read since this was last asked."""
    found = sorted(names)
    names.clear()
    return found


@pytest.fixture
def checked(records: OpenedRecords, read: list[str]) -> OpenedRecords:
    """Records whose train shards have been found whole."""
    check_shards(records, "train")
    assert taken(read) == TRAIN
    return records


def test_whole_shards_are_read_once(records: OpenedRecords, read: list[str]) -> None:
    check_shards(records, "train")
    assert taken(read) == TRAIN
    check_shards(records, "train")
    check_shards(open_records(records.folder), "train")
    assert taken(read) == []
    check_shards(records, "validation")
    assert taken(read) == [VALIDATION]
    check_shards(records, "train")
    check_shards(records, "validation")
    assert taken(read) == []


def test_it_is_remembered_in_the_cache_folder(
    records: OpenedRecords, read: list[str], cache: Path
) -> None:
    check_shards(records, "train")
    (memory,) = cache.iterdir()
    assert sorted(json.loads(memory.read_text())) == TRAIN
    shutil.rmtree(cache)
    check_shards(records, "train")
    assert taken(read) == sorted(2 * TRAIN)


@pytest.mark.parametrize(("seconds_too_old", "left"), [(-60, 2), (60, 1)])
def test_notes_that_were_not_renewed_for_long_are_deleted(
    records: OpenedRecords, cache: Path, seconds_too_old: int, left: int
) -> None:
    check_shards(records, "validation")
    (old,) = cache.iterdir()
    written = (
        time.time() - alexnet.pipeline.verify.checksums.KEPT_SECONDS - seconds_too_old
    )
    os.utime(old, (written, written))
    check_shards(records, "train")
    assert len(list(cache.iterdir())) == left


def test_without_the_variable_the_cache_is_at_home(
    records: OpenedRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    check_shards(records, "train")
    assert list((tmp_path / "home/.cache/alexnet/checked").iterdir())


def test_without_a_home_shards_are_read_again(
    records: OpenedRecords,
    read: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError):
        Path.home()
    for _ in range(2):
        check_shards(records, "train")
        assert taken(read) == TRAIN
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_a_set_known_by_another_path_is_the_same(
    checked: OpenedRecords,
    read: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "link").symlink_to(checked.folder)
    monkeypatch.chdir(tmp_path)
    check_shards(open_records(tmp_path / "link"), "train")
    check_shards(open_records(Path("records")), "train")
    assert taken(read) == []


def test_a_copy_is_another_set(
    checked: OpenedRecords, read: list[str], tmp_path: Path
) -> None:
    shutil.copytree(checked.folder, tmp_path / "copy")
    check_shards(open_records(tmp_path / "copy"), "train")
    assert taken(read) == TRAIN
    check_shards(checked, "train")
    assert taken(read) == []


def touch(path: Path) -> None:
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def replace(path: Path) -> None:
    """A file of the same size and time takes its place."""
    Path(shutil.copy2(path, path.with_name("copy"))).replace(path)


@pytest.mark.parametrize("change", [touch, replace])
def test_a_shard_that_may_be_another_is_read_again(
    checked: OpenedRecords, read: list[str], change: Callable[[Path], None]
) -> None:
    change(checked.folder / TRAIN[1])
    check_shards(checked, "train")
    assert taken(read) == [TRAIN[1]]
    check_shards(checked, "train")
    assert taken(read) == []


def grow(path: Path) -> None:
    time = path.stat().st_mtime_ns
    with path.open("ab") as file:
        file.write(b"x")
    os.utime(path, ns=(time, time))


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        (grow, ": the file has .* bytes, .* were written"),
        (lambda path: flip(path, 4096 + 800), " is damaged at record 1, byte 4096"),
    ],
)
def test_a_shard_that_was_damaged_later_is_told(
    checked: OpenedRecords,
    read: list[str],
    change: Callable[[Path], None],
    damage: str,
) -> None:
    change(checked.folder / TRAIN[2])
    with pytest.raises(DataError, match=rf"{TRAIN[2]}{damage}\. Mend it with"):
        check_shards(checked, "train")
    assert taken(read) == [TRAIN[2]]


@pytest.mark.parametrize("place", [0, 9, 12, 500, 4096 - 5, 4096 - 1])
@pytest.mark.parametrize("record", [0, 3, 5])
def test_a_flipped_bit_is_found_wherever_it_is(
    records: OpenedRecords, record: int, place: int
) -> None:
    """Records of a page each: in the header, the data, the padding or a checksum."""
    path = records.folder / TRAIN[1]
    assert path.stat().st_size == 6 * 4096
    flip(path, record * 4096 + place)
    for _ in range(2):  # what is damaged is not remembered as whole
        with pytest.raises(DataError) as error:
            check_shards(records, "train")
        assert str(error.value) == (
            f"{path} is damaged at record {record}, byte {record * 4096}. Mend it with"
            f" `alexnet records verify {records.folder} --repair --source SOURCE`."
        )
    with pytest.raises(DataError, match=f"damaged at record {record}, byte"):
        require_whole_shards(records)
    check_shards(records, "validation")
    flip(path, record * 4096 + place)
    check_shards(records, "train")
    require_whole_shards(records)


def test_whole_records_that_are_not_those_that_were_written_are_told(
    records: OpenedRecords,
) -> None:
    """Their own checksums are right."""
    path = records.folder / TRAIN[1]
    data = path.read_bytes()
    record = bytearray(data[12 : 4096 - 4])
    record[600] ^= 1
    with path.open("r+b") as file:
        file.write(frame(bytes(record)))
    with pytest.raises(DataError, match=rf"{path}: .*not those of dataset\.json"):
        check_shards(records, "train")


@pytest.mark.parametrize("storage", ["jpeg", "original"])
def test_every_split_of_every_storage_is_read_through(
    record_sets: dict[str, Path], tmp_path: Path, storage: str
) -> None:
    folder = Path(shutil.copytree(record_sets[storage], tmp_path / storage))
    records = open_records(folder)
    require_whole_shards(records)
    flip(folder / VALIDATION, 100)
    with pytest.raises(DataError, match=f"{VALIDATION} is damaged at record 0, byte 0"):
        require_whole_shards(records)


def test_a_cache_that_cannot_be_written_is_no_error(
    records: OpenedRecords,
    read: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        check_shards(records, "train")
        assert taken(read) == TRAIN
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"train": 5}', "\xff"])
def test_a_memory_that_makes_no_sense_is_no_error(
    checked: OpenedRecords, read: list[str], cache: Path, text: str
) -> None:
    (memory,) = cache.iterdir()
    memory.write_text(text, encoding="latin-1")
    check_shards(checked, "train")
    assert taken(read) == TRAIN
    check_shards(checked, "train")
    assert taken(read) == []
