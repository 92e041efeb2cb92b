"""Photos behind URLs are found as they are found in a folder."""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from alexnet.pipeline.errors import BadImage, DataError, RemoteError
from alexnet.pipeline.remote import read_ahead, remote_file
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.read_ahead import ReadAhead
from alexnet.pipeline.source import remote_store
from alexnet.pipeline.source.scan import ImageFile, Source, scan
from alexnet.pipeline.source.source_file import read_file
from tests.conftest import every_s3
from tests.remote import link_to, serve_files, upload
from tests.s3 import S3


def images(source: Source) -> dict[str, tuple[object, ...]]:
    """What a build takes of a source: bytes, class and split by key."""
    source.store.expect([file.key for file in source.files])
    store = pickle.loads(pickle.dumps(source.store))  # as a worker gets it
    store.expect([file.key for file in source.files])
    return {
        file.key: (
            source.class_names[file.label],
            file.split,
            file.size_bytes,
            store.read(file.key),
            store.read(file.key, 10),
        )
        for file in source.files
    }


@every_s3
def test_class_folders(s3: S3, photos: Path, bucket: Location) -> None:
    upload(photos, bucket / "train")
    (bucket / "train/.hidden/x.jpg").write_bytes(b"x")
    (bucket / "train/@eaDir/x.jpg").write_bytes(b"x")
    (bucket / "train/notes.txt").write_bytes(b"x")
    s3.make_marker(bucket / "train/cat")
    source = scan(bucket / "train")
    assert images(source) == images(scan(photos))
    assert source.class_names == ("cat", "dog")
    assert set(source.ignored) == {"notes.txt", "@eaDir/ (a system folder)"}
    assert source.store.place("cat/00.jpg") == f"{bucket}/train/cat/00.jpg"
    assert source.store.exists()


@pytest.mark.slow
def test_names_splits_and_tables(
    photos: Path, tmp_path: Path, bucket: Location
) -> None:
    files = sorted(photos.rglob("*.jpg"))
    for number, file in enumerate(files):
        label = file.parent.name
        for folder in (tmp_path / "flat", tmp_path / ("train", "val")[number % 2]):
            folder.mkdir(exist_ok=True)
            (folder / f"{label}.{number}.jpg").write_bytes(file.read_bytes())
    rows = [
        f"{label}.{i}.jpg,{label}s"
        for i, label in enumerate(file.parent.name for file in files)
    ]
    (tmp_path / "flat/labels.csv").write_text("\n".join(["filename,label", *rows]))
    upload(tmp_path, bucket)
    for words in ("flat", "flat/labels.csv"):
        assert images(scan(bucket / words)) == images(scan(tmp_path / words))
    assert scan(bucket / "flat").class_names == ("cats", "dogs")
    (tmp_path / "flat/labels.csv").unlink()
    (bucket / "flat/labels.csv").unlink()
    for words in ("flat", ""):
        here = scan(tmp_path / words if words else tmp_path)
        assert images(scan(bucket / words if words else bucket)) == images(here)


def test_a_table_may_name_addresses(photos: Path, bucket: Location) -> None:
    upload(photos, bucket / "x")
    keys = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    rows = [f"{bucket}/x/{key},{key[:3]}" for key in keys]
    (bucket / "x/all.csv").write_bytes("\n".join(["filename,label", *rows]).encode())
    assert images(scan(bucket / "x/all.csv")) == images(scan(photos))


@every_s3
def test_of_a_zip_only_what_is_needed_is_fetched(
    s3: S3,
    photos: Path,
    tmp_path: Path,
    bucket: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_file, "AHEAD_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("ballast.bin", bytes(2_000_000))
        for path in sorted(photos.rglob("*.jpg")):
            name = path.relative_to(photos).as_posix()
            how = zipfile.ZIP_DEFLATED if "0" in name else zipfile.ZIP_STORED
            archive.write(path, name, how)
    (bucket / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes())
    with link_to(s3) as link:
        far = Location(f"{bucket.url}/x.zip", {"endpoint_url": link.endpoint})
        found = images(scan(far))
        assert link.num_bytes < 1_000_000
    assert found == images(scan(tmp_path / "x.zip"))


def test_a_tar_is_fetched_once_and_goes_with_the_store(
    photos: Path,
    tmp_path: Path,
    bucket: Location,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(photos, "photos")
    (bucket / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    source = scan(bucket / "x.tar")
    assert images(source) == images(scan(tmp_path / "x.tar"))
    assert f"{bucket}/x.tar is fetched to {tmp_path}" in caplog.text
    assert source.store.place("a") == f"{bucket}/x.tar/a"
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    del source
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_web(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in photos.rglob("*.jpg"):
            archive.write(path, path.relative_to(photos).as_posix())
    keys = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    for key in keys:
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes((photos / key).read_bytes())
    rows = [f"{key},{key[:3]}" for key in [*keys, "gone.jpg"]]
    (tmp_path / "x.csv").write_text("\n".join(["filename,label", *rows]))
    expected = images(scan(photos))
    for ranges in (True, False):
        with serve_files(tmp_path, ranges) as web:
            assert images(scan(Location(f"{web.url}/x.zip"))) == expected
            table = scan(Location(f"{web.url}/x.csv"))
            assert [file.key for file in table.files] == [*keys, "gone.jpg"]
            assert table.store.read(keys[0]) == (photos / keys[0]).read_bytes()
            with pytest.raises(BadImage, match="No such file"):
                read_file(table.store, table.files[-1], bytes)
            addresses = "\n".join(f"{web.url}/{key},{key[:3]}" for key in keys)
            (tmp_path / "whole.csv").write_text(f"filename,label\n{addresses}")
            whole = scan(Location(f"{web.url}/whole.csv"))
            assert [file.key for file in whole.files] == keys
            assert whole.store.read(keys[0]) == (photos / keys[0]).read_bytes()
            with pytest.raises(DataError, match="no such folder"):
                scan(Location(f"{web.url}/folder"))


def test_what_is_no_source_is_named(bucket: Location) -> None:
    with pytest.raises(DataError, match=rf"no such folder: {bucket}/none. Expected"):
        scan(bucket / "none")
    (bucket / "a.gz").write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(DataError, match="is compressed"):
        scan(bucket / "a.gz")
    (bucket / "a.txt").write_bytes(b"hello")
    with pytest.raises(DataError, match="neither a folder, a CSV, a zip nor a tar"):
        scan(bucket / "a.txt")
    (bucket / "cut.zip").write_bytes(b"PK\3\4" + bytes(600))
    with pytest.raises(DataError, match="damaged zip"):
        scan(bucket / "cut.zip")


def test_a_missing_file_is_bad_and_a_forbidden_one_is_not(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / "cat/1.jpg").write_bytes(b"1")
    store = remote_store.RemoteStore(bucket)
    with pytest.raises(BadImage, match="No such file"):
        read_file(store, ImageFile("cat/2.jpg", 0, 5), bytes)

    def forbid(*args: object) -> bytes:
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr(remote_store, "fetch_range", forbid)
    with pytest.raises(RemoteError, match=f"{bucket}/cat/1.jpg cannot be read: Perm"):
        read_file(store, ImageFile("cat/1.jpg", 0, 1), bytes)


def test_no_photo_is_that_large(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.pipeline.source.stores.MAX_FILE_BYTES", 5)
    (bucket / "1.jpg").write_bytes(b"123456")
    with pytest.raises(OSError, match="no photo is larger"):
        remote_store.RemoteStore(bucket).read("1.jpg")


def test_files_are_read_a_few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "MOST_FILES", 3)
    asked: list[str] = []

    def read(key: str) -> bytes:
        asked.append(key)
        if key == "bad":
            raise OSError("bad")
        return key.encode()

    ahead = ReadAhead(read)
    ahead.expect(["a", "b", "bad", "c", "d"])
    assert ahead.take("b") == b"b"
    with pytest.raises(OSError, match="bad"):
        ahead.take("bad")
    assert ahead.take("bad2") == b"bad2"  # nobody expected it
    assert [ahead.take(key) for key in ("d", "a", "c")] == [b"d", b"a", b"c"]
    assert sorted(asked) == ["a", "b", "bad", "bad2", "c", "d"]
    ahead.expect(["e", "f", "g", "h"])
    assert ahead.take("e") == b"e"
    assert ahead.take("h") == b"h" and asked.count("h") == 1
