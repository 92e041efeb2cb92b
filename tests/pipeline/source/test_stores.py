"""A folder, a zip and a tar of it are one and the same source."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.archives import open_store
from alexnet.pipeline.source.stores import Entry, Store

FILES = {
    "cat/1.jpg": b"one",
    "cat/old/2.jpg": b"two",
    "dog/größe.jpg": b"three",
    "dog/empty.jpg": b"",
    ".DS_Store": b"hidden",
    "dog/.cache/x.jpg": b"hidden",
}
VISIBLE = [
    Entry("cat/1.jpg", 3),
    Entry("cat/old/2.jpg", 3),
    Entry("dog/empty.jpg", 0),
    Entry("dog/größe.jpg", 5),
]


class Listed(NamedTuple):
    files: list[Entry]
    left_out: list[str]


def listed(store: Store) -> Listed:
    left_out: list[str] = []
    files = sorted(store.entries(left_out.append))
    return Listed(files, sorted(left_out))


Pack = Callable[[Path, Path, str], Path]


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for key, data in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def as_zip(folder: Path, target: Path, top: str) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            archive.write(path, top + path.relative_to(folder).as_posix())
        archive.writestr(f"__MACOSX/{top}._1.jpg", b"hidden")
    return target


def as_tar(folder: Path, target: Path, top: str) -> Path:
    with tarfile.open(target, "w") as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            archive.add(path, top + str(path.relative_to(folder)), recursive=False)
    return target


def as_folder(folder: Path, target: Path, top: str) -> Path:
    return folder


ARCHIVES = [as_zip, as_tar]
PACKS = [as_folder, *ARCHIVES]


@pytest.mark.parametrize(
    ("pack", "top"),
    [
        (as_folder, ""),
        (as_zip, ""),
        (as_zip, "train/"),
        (as_tar, ""),
        (as_tar, "train/"),
        (as_tar, "./"),
    ],
)
def test_every_store_holds_the_same(tmp_path: Path, pack: Pack, top: str) -> None:
    folder = write_files(tmp_path / "photos", FILES)
    store = open_store(pack(folder, tmp_path / "packed", top))
    assert listed(store) == (VISIBLE, [])
    # A worker process gets the store by pickle, also after it has been read from.
    for copy in (store, pickle.loads(pickle.dumps(store))):
        assert {key: copy.read(key) for key, _ in VISIBLE} == {
            key: FILES[key] for key, _ in VISIBLE
        }
        assert copy.read("dog/größe.jpg", 2) == b"th"
        assert copy.read("cat/1.jpg", 100) == b"one"
        with pytest.raises(OSError):
            copy.read("cat/gone.jpg")


@pytest.mark.parametrize("pack", ARCHIVES)
@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["cat/1.jpg", "cat/2.jpg"], ["cat/1.jpg", "cat/2.jpg"]),
        (["train/cat.1.jpg", "train/dog.2.jpg"], ["cat.1.jpg", "dog.2.jpg"]),
        (["set/1.jpg", "set/labels.csv"], ["1.jpg", "labels.csv"]),
        (["set/cat/1.jpg", "readme"], ["readme", "set/cat/1.jpg"]),
    ],
)
def test_the_folder_an_archive_was_made_of_is_left_out(
    tmp_path: Path, pack: Pack, names: list[str], keys: list[str]
) -> None:
    folder = write_files(tmp_path / "photos", dict.fromkeys(names, b"x"))
    store = open_store(pack(folder, tmp_path / "packed", ""))
    assert [entry.key for entry in listed(store).files] == keys
    assert store.read(keys[0]) == b"x"


def test_a_loop_of_links_ends_and_a_linked_folder_is_followed(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "photos", {"cat/1.jpg": b"x"})
    elsewhere = write_files(tmp_path / "elsewhere", {"2.jpg": b"yy"})
    (folder / "cat" / "again").symlink_to(folder)
    (folder / "dog").symlink_to(elsewhere)
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere")
    files = [("cat/1.jpg", 1), ("dog/2.jpg", 2), ("gone.jpg", 0)]
    assert listed(open_store(folder)) == (files, [])


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_linked_folder_of_the_source_stays_at_its_own_place(
    tmp_path: Path, name: str
) -> None:
    write_files(tmp_path, {"m/deep/cat/1.jpg": b"x"})
    (tmp_path / name).symlink_to(tmp_path / "m" / "deep")
    assert listed(open_store(tmp_path)).files == [("m/deep/cat/1.jpg", 1)]


def test_of_two_links_to_a_folder_the_first_by_name_is_followed(tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", {"1.jpg": b"x"})
    for order in ("abc", "cba"):
        folder = tmp_path / order
        folder.mkdir()
        for name in order:
            (folder / name).symlink_to(outside)
        assert listed(open_store(folder)).files == [("a/1.jpg", 1)]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    store = open_store(tmp_path)
    assert listed(store) == ([], ["pipe.jpg (no plain file)"])
    with pytest.raises(OSError, match="not a regular file"):
        store.read("pipe.jpg")
    with pytest.raises(DataError, match=r"pipe\.jpg is neither a folder nor a file"):
        open_store(tmp_path / "pipe.jpg")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "no such folder: .*gone. Expected a folder of class folders"),
        ("gone.zip", "no such file: .*gone.zip"),
    ],
)
def test_a_missing_source_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_store(tmp_path / name)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cat.1.jpg"
    path.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="neither a folder, a CSV, a zip nor a tar"):
        open_store(path)
