"""Files come and go whole, whatever the link between does."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from alexnet.pipeline.errors import RemoteError
from alexnet.pipeline.remote import retry, transfer
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.remote_file import RemoteFile
from alexnet.pipeline.remote.transfer import (
    fetch_file,
    fetch_range,
    holds,
    send_file,
)
from tests.conftest import every_s3
from tests.remote import Link, link_to, serve_files
from tests.s3 import S3

DATA = np.random.default_rng(0).bytes(300_000)
CRC = google_crc32c.value(DATA)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "RANGE_BYTES", 50_000)
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.02)


@pytest.fixture
def file(bucket: Location) -> Location:
    (bucket / "data").write_bytes(DATA)
    return bucket / "data"


def over(link: Link, location: Location) -> Location:
    """The same location through a link."""
    return Location(location.url, {"endpoint_url": link.endpoint})


@every_s3
def test_a_range(file: Location) -> None:
    assert fetch_range(file, 10, 20) == DATA[10:30]
    assert fetch_range(file, len(DATA) - 5, 20) == DATA[-5:]
    assert fetch_range(file, len(DATA), 20) == b""
    (file.parent / "empty").write_bytes(b"")
    assert fetch_range(file.parent / "empty", 0, 20) == b""


@every_s3
def test_a_file_is_fetched_whole(file: Location, tmp_path: Path) -> None:
    pieces: list[int] = []
    fetch_file(file, tmp_path / "x", len(DATA), CRC, pieces.append)
    assert (tmp_path / "x").read_bytes() == DATA
    assert pieces == [50_000] * 6


def test_a_cut_link_is_mended(s3: S3, file: Location, tmp_path: Path) -> None:
    with link_to(s3) as link:
        link.cuts = [30_000, 90_000, 200_000]
        fetch_file(over(link, file), tmp_path / "x", len(DATA), CRC)
        assert link.cuts == [] and link.num_bytes < 1.5 * len(DATA)
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_store_that_is_away_for_a_moment_is_a_pause(
    s3: S3, file: Location, tmp_path: Path
) -> None:
    with link_to(s3) as link:
        far = over(link, file)
        assert far.exists()
        link.down()
        threading.Timer(0.5, link.up).start()
        fetch_file(far, tmp_path / "x", len(DATA), CRC)
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_long_outage_leaves_nothing_half(
    s3: S3, file: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.1)
    with link_to(s3) as link:
        far = over(link, file)

        def fail(num_bytes: int) -> None:
            link.down()

        with pytest.raises(RemoteError, match=r"has not answered .* run the same"):
            fetch_file(far, tmp_path / "x", count=fail)
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_are_fetched_again_and_then_named(
    file: Location, tmp_path: Path
) -> None:
    with pytest.raises(RemoteError, match=rf"{file} arrived 3 times with another"):
        fetch_file(file, tmp_path / "x", crc32c=CRC ^ 1)
    with pytest.raises(RemoteError, match="has 300000 bytes; 5 are expected"):
        fetch_file(file, tmp_path / "x", 5)
    with pytest.raises(FileNotFoundError):
        fetch_file(file / "none", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_were_wrong_once_are_right_then(
    file: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, answers = transfer.fetch_range, [b"\1" * 50_000]

    def fetch(source: Location, start: int, size: int) -> bytes:
        return answers.pop() if answers else right(source, start, size)

    monkeypatch.setattr(transfer, "fetch_range", fetch)
    fetch_file(file, tmp_path / "x", crc32c=CRC)
    assert (tmp_path / "x").read_bytes() == DATA


@every_s3
def test_a_file_is_sent_and_checked(bucket: Location, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    send_file(tmp_path / "x", bucket / "a/x", CRC)
    assert (bucket / "a/x").read_bytes() == DATA
    assert holds(bucket / "a/x", tmp_path / "x", CRC)
    (bucket / "a/x").write_bytes(DATA[:-1] + b"!")
    assert not holds(bucket / "a/x", tmp_path / "x", CRC)
    (bucket / "a/x").write_bytes(DATA[:-1])
    assert not holds(bucket / "a/x", tmp_path / "x", CRC)


def test_what_tells_no_checksum_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    target = Location("memory://sent/x")
    send_file(tmp_path / "x", target, CRC)
    assert target.read_bytes() == DATA
    with pytest.raises(
        RemoteError, match="was sent 3 times, and the store holds other"
    ):
        send_file(tmp_path / "x", target, CRC ^ 1)


@every_s3
def test_the_checksum_of_parts_is_s3s(
    s3: S3, bucket: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three parts, of which S3 wants 5 MiB at least."""
    part, size = 5 * 2**20, 11 * 2**20
    monkeypatch.setattr(transfer, "PART_BYTES", part)
    data = np.random.default_rng(1).bytes(size)
    (tmp_path / "x").write_bytes(data)
    target = bucket / "parts"
    monkeypatch.setattr(transfer, "_read_back", lambda *args: pytest.fail("read back"))
    file = str(tmp_path / "x")
    target.call(lambda fs, path: fs.put_file(file, path, chunksize=part))
    if s3.folder is None:  # rclone tells the checksum of the whole
        assert str(target.info()["ETag"]).strip('"').endswith("-3")
    assert holds(target, tmp_path / "x", google_crc32c.value(data))


def test_a_cut_while_sending(s3: S3, bucket: Location, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    with link_to(s3) as link:
        far = over(link, bucket)
        link.down()
        threading.Timer(0.3, link.up).start()
        send_file(tmp_path / "x", far / "x", CRC)
    assert (bucket / "x").read_bytes() == DATA


def test_the_web(tmp_path: Path) -> None:
    (tmp_path / "a b.bin").write_bytes(DATA)
    with serve_files(tmp_path) as web:
        file = Location(web.url) / "a b.bin"
        assert file.is_file() and file.num_bytes() == len(DATA)
        assert not (Location(web.url) / "none").exists()
        fetch_file(file, tmp_path / "x", crc32c=CRC)
        web.cuts = [20_000]
        assert fetch_range(file, 1000, 40_000) == DATA[1000:41_000]
        assert web.cuts == []
    with serve_files(tmp_path, ranges=False) as web:
        file = Location(f"{web.url}/a%20b.bin")
        assert fetch_range(file, 0, 10) == DATA[:10]
        with pytest.raises(RemoteError, match="gives whole files only"):
            fetch_range(file, 10, 10)
        fetch_file(file, tmp_path / "y", crc32c=CRC)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes() == DATA


def test_a_web_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """fsspec itself says then that there is no such file."""
    (tmp_path / "x").write_bytes(DATA)
    with serve_files(tmp_path) as web:
        host, port = web.url.removeprefix("http://").split(":")
        link = Link(host, int(port))
        file = Location(f"{link.endpoint}/x")
        link.down()
        threading.Timer(0.3, link.up).start()
        start = time.monotonic()
        assert file.num_bytes() == len(DATA)
        assert time.monotonic() - start > 0.2
        link.down()


def test_a_remote_file_is_read_like_an_open_one(file: Location) -> None:
    opened = RemoteFile(file)
    assert opened.read(5) == DATA[:5] and opened.tell() == 5
    opened.seek(-7, 2)
    assert opened.read() == DATA[-7:] and opened.read() == b""
    opened.seek(100)
    opened.seek(-50, 1)
    assert opened.read(100_000) == DATA[50:100_050]
    with pytest.raises(OSError, match="before the first"):
        opened.seek(-1)
    opened.keep(7, b"kept")
    opened.seek(8)
    assert opened.read(2) == b"ep"
