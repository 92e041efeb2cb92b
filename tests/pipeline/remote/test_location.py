"""Files in a bucket, asked for like files on a disk."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec.core
import pytest

from alexnet.pipeline.errors import ConfigError, RemoteError
from alexnet.pipeline.remote import file_system, listing, retry
from alexnet.pipeline.remote.file_system import missing_package
from alexnet.pipeline.remote.listing import list_files
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import (
    file_size,
    make_folder,
    names_in,
    put_bytes,
    put_json,
    put_text,
    remove,
)
from tests.conftest import every_s3
from tests.remote import link_to
from tests.s3 import KEY, S3, SECRET


@every_s3
def test_a_file_in_a_bucket(bucket: Location) -> None:
    file = bucket / "a/b.txt"
    assert not file.exists() and not (bucket / "a").exists()
    file.write_bytes("é".encode())
    assert file.read_bytes() == "é".encode() and file.read_text() == "é"
    assert file.is_file() and not file.is_dir() and file.num_bytes() == 2
    assert (bucket / "a").is_dir() and not (bucket / "a").is_file()
    assert bucket.is_dir() and bucket.exists()
    file.unlink()
    assert not file.exists()
    file.unlink(missing_ok=True)


@every_s3
def test_threads_that_begin_together_share_a_connection(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, found = fsspec.core.url_to_fs, []

    def find_slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.1)  # as it takes to import what a scheme needs
        found.append(arguments)
        return find(*arguments, **options)

    monkeypatch.setattr(fsspec.core, "url_to_fs", find_slowly)
    (bucket / "a.txt").write_bytes(b"abc")
    file_system._opened.cache_clear()
    found.clear()
    with ThreadPoolExecutor(16) as threads:
        read = threads.map(lambda _: (bucket / "a.txt").read_bytes(), range(16))
        assert [*read] == [b"abc"] * 16
    assert len(found) == 1


def test_what_is_not_there_is_named(bucket: Location) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (bucket / "x").read_bytes()
    assert caught.value.filename == str(bucket / "x")
    with pytest.raises(FileNotFoundError):
        (bucket / "x").num_bytes()
    gone = Location("s3://no-such-bucket-here")
    assert not gone.exists() and not (gone / "x").exists()
    with pytest.raises(FileNotFoundError):
        (gone / "x").write_bytes(b"1")


@every_s3
def test_what_another_has_written_is_seen(bucket: Location) -> None:
    """No listing is kept that could be stale."""
    assert [*list_files(bucket)] == []
    assert not (bucket / "a").exists()
    other = Location(bucket.url, {"use_ssl": False})
    (other / "a").write_bytes(b"1")
    assert (bucket / "a").exists() and [*list_files(bucket)] == [("a", 1)]


def test_a_location_travels_without_its_connection(bucket: Location) -> None:
    (bucket / "a").write_bytes(b"1")
    again = pickle.loads(pickle.dumps(bucket / "a"))
    assert again == bucket / "a" and again.read_bytes() == b"1"


@every_s3
def test_a_long_listing_comes_in_pages(
    s3: S3, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"x/{number % 3}/{number:02d} ü.jpg": number for number in range(20)}
    for key, size in files.items():
        (bucket / key).write_bytes(bytes(size))
    (bucket / "xyz.jpg").write_bytes(b"1")
    s3.make_marker(bucket / "x/folder")
    monkeypatch.setattr(listing, "PAGE_KEYS", 3)
    assert dict(list_files(bucket / "x")) == {k[2:]: n for k, n in files.items()}
    assert dict(list_files(bucket)) == {**files, "xyz.jpg": 1}


def test_half_a_listing_is_refused(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"Contents": [{"Key": "a", "Size": 1}], "IsTruncated": True}
    monkeypatch.setattr(listing, "_s3_page", lambda *args, **asked: page)
    with pytest.raises(RemoteError, match=r"s3://bucket-.*: the store lists 1000"):
        list(list_files(bucket))


def test_other_file_systems_are_walked() -> None:
    root = Location("memory://walk/x")
    for key in ("a/1.jpg", "a/b/2.jpg", "3.jpg"):
        (root / key).write_bytes(b"12")
    assert sorted(list_files(root)) == [("3.jpg", 2), ("a/1.jpg", 2), ("a/b/2.jpg", 2)]
    assert (root / "a").is_dir() and (root / "3.jpg").is_file()


@pytest.mark.parametrize("url", ["memory://places/x", None])
def test_a_folder_and_a_location_are_used_alike(
    url: str | None, tmp_path: Path
) -> None:
    place = Location(url) if url else tmp_path / "new"
    make_folder(place)
    put_bytes(place / "1", b"abc")
    put_text(place / "2", "é")
    put_json(place / "3", [1])
    assert [*names_in(place)] == ["1", "2", "3"]
    assert [*names_in(place / "none")] == []
    assert file_size(place / "1") == 3
    assert (place / "2").read_text(encoding="utf-8") == "é"
    assert (place / "3").read_bytes() == b"[\n  1\n]\n"
    remove(place / "1")
    remove(place / "1")
    assert [*names_in(place)] == ["2", "3"]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"nosuch://x cannot be opened: .*nosuch"):
        Location("nosuch://x").exists()
    monkeypatch.setattr(file_system, "find_spec", lambda name: None)
    assert missing_package("gs") == "it needs gcsfs: pip install 'alexnet[gcs]'"
    assert missing_package("memory") == ""


@pytest.mark.parametrize("protocol", ["gs", "gcs"])
def test_a_google_bucket_is_opened_by_its_package(protocol: str) -> None:
    file = Location(f"{protocol}://bucket/a/b.jpg", {"token": "anon"})
    assert file.path == "bucket/a/b.jpg"
    assert type(file.file_system()).__module__.startswith("gcsfs")


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["rclone"], indirect=True)  # moto looks at no key
@pytest.mark.parametrize("wrong", [{"secret": "other"}, {"key": "nobody"}])
def test_wrong_credentials_are_no_outage(
    wrong: dict[str, str], s3: S3, bucket: Location
) -> None:
    (bucket / "a").write_bytes(b"1")
    options = {"endpoint_url": s3.endpoint, "key": KEY, "secret": SECRET, **wrong}
    far = Location(bucket.url, options)
    for use in (
        lambda: (far / "a").exists(),
        lambda: (far / "a").read_bytes(),
        lambda: (far / "b").write_bytes(b"1"),
        lambda: [*list_files(far)],
    ):
        with pytest.raises(PermissionError):
            use()


def test_a_store_that_is_away_is_not_empty(
    s3: S3, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bucket / "a").write_bytes(b"1")
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.0)
    with link_to(s3) as link:
        options = {"endpoint_url": link.endpoint, "key": KEY, "secret": SECRET}
        far = Location(bucket.url, options)
        assert (far / "a").exists()
        link.down()
        with pytest.raises(RemoteError, match="has not answered") as caught:
            (far / "a").exists()
        assert SECRET not in str(caught.value) and caught.value.__cause__ is None
