"""A download: resumed after cuts and kills, compared with a checksum, whole or gone."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.pipeline.errors import ConfigError, DataError, RemoteError
from alexnet.pipeline.remote import retry, transfer
from alexnet.pipeline.remote.download import (
    CHECKSUM,
    COMPRESSED,
    download,
    plan_download,
)
from alexnet.pipeline.remote.known_sets import KNOWN_SETS, KnownSet
from alexnet.pipeline.remote.location import Location
from tests.remote import serve_files

ROOT = Path(__file__).parents[3]
DATA = np.random.default_rng(0).bytes(200_000)
FIRST_BYTE = transfer.FIRST_BYTE["Range"]
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transfer, "RANGE_BYTES", 40_000)
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.02)
    (tmp_path / "web").mkdir()
    (tmp_path / "web/photos.zip").write_bytes(DATA)


def test_a_file_is_downloaded_once(tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    with serve_files(tmp_path / "web") as web:
        plan = plan_download(f"{web.url}/photos.zip", tmp_path, SHA256)
        report = download(plan, lambda *done: shown.append(done))
        assert (tmp_path / "photos.zip").read_bytes() == DATA
        assert report.out == tmp_path / "photos.zip" and report.checksum == SHA256
        assert report.num_bytes == len(DATA) and report.seconds > 0
        assert shown == [(done, len(DATA)) for done in range(0, 200_001, 40_000)]
        asked = len(web.requests)
        again = download(plan)
        assert again.seconds == 0 and again.checksum == SHA256
        assert len(web.requests) == asked
    assert {path.name for path in tmp_path.iterdir()} == {"web", "photos.zip"}


def test_cuts_cost_what_was_on_its_way(tmp_path: Path) -> None:
    with serve_files(tmp_path / "web") as web:
        web.cuts = [10_000, 1, 39_999]
        download(plan_download(f"{web.url}/photos.zip", tmp_path / "x", SHA256))
        ranges = [asked for _, asked in web.requests if asked and asked != FIRST_BYTE]
    assert (tmp_path / "x").read_bytes() == DATA
    assert len(ranges) == 5 + 3


KILLED = """
import os, signal, sys
from pathlib import Path
from alexnet.pipeline.remote import transfer
from alexnet.pipeline.remote.download import download, plan_download
transfer.RANGE_BYTES = 40_000
def kill(done, total):
    if done >= 80_000: os.kill(os.getpid(), signal.SIGKILL)
download(plan_download(sys.argv[1], Path(sys.argv[2])), kill)
"""


def test_a_killed_download_goes_on(tmp_path: Path) -> None:
    with serve_files(tmp_path / "web") as web:
        url = f"{web.url}/photos.zip"
        words = [sys.executable, "-c", KILLED, url, str(tmp_path / "x")]
        assert subprocess.run(words, cwd=ROOT).returncode == -9
        assert not (tmp_path / "x").exists()
        web.requests.clear()
        shown: list[int] = []
        plan = plan_download(url, tmp_path / "x", SHA256)
        download(plan, lambda done, total: shown.append(done))
        assert (tmp_path / "x").read_bytes() == DATA
        # At most the piece that was not written out yet comes again.
        assert shown[0] in (40_000, 80_000)
        ranges = [asked for _, asked in web.requests if asked and asked != FIRST_BYTE]
        assert ranges[0] == f"bytes={shown[0]}-{shown[0] + 39_999}"


def test_the_rest_of_another_file_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").write_bytes(b"old" * 1000)
    (tmp_path / ".x.partial.json").write_text('{"size": "200000", "ETag": "other"}')
    with serve_files(tmp_path / "web") as web:
        download(plan_download(f"{web.url}/photos.zip", tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    wrong = f"sha256:{'0' * 64}"
    with serve_files(tmp_path / "web") as web:
        plan = plan_download(f"{web.url}/photos.zip", tmp_path / "x", wrong)
        said = rf"has the checksum {SHA256} \(195.3 KiB\); {wrong} is expected"
        with pytest.raises(RemoteError, match=said):
            download(plan)
    assert [path.name for path in tmp_path.iterdir()] == ["web"]


def test_another_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"mine")
    with serve_files(tmp_path / "web") as web:
        plan = plan_download(f"{web.url}/photos.zip", tmp_path, SHA256)
        with pytest.raises(DataError, match="is there already, and another file"):
            download(plan)
    assert (tmp_path / "photos.zip").read_bytes() == b"mine"


def test_a_server_without_ranges(tmp_path: Path) -> None:
    with serve_files(tmp_path / "web", ranges=False) as web:
        web.cuts = [10_000]
        download(plan_download(f"{web.url}/photos.zip", tmp_path / "x", SHA256))
        with pytest.raises(FileNotFoundError):
            download(plan_download(f"{web.url}/none.zip", tmp_path / "y"))
    assert (tmp_path / "x").read_bytes() == DATA


@pytest.mark.parametrize("ending", ["tgz", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_compressed_tar_becomes_a_plain_one(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "web" / f"set.{ending}"
    pack = COMPRESSED[f".{ending}"]
    with pack(file, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("cat/1.jpg")
        member.size = len(DATA)
        archive.addfile(member, io.BytesIO(DATA))
    with serve_files(tmp_path / "web") as web:
        plan = plan_download(f"{web.url}/set.{ending}", tmp_path)
        report = download(plan)
        assert report.out == tmp_path / "set.tar" and download(plan).seconds == 0
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(DataError, match="is no whole archive"):
            download(plan_download(f"{web.url}/set.{ending}", tmp_path / f"x.{ending}"))
    with tarfile.open(tmp_path / "set.tar", "r:") as plain:
        assert plain.extractfile("cat/1.jpg").read() == DATA  # type: ignore[union-attr]
    assert not (tmp_path / "x.tar").exists()


def test_a_bucket(tmp_path: Path, bucket: Location) -> None:
    (bucket / "photos.zip").write_bytes(DATA)
    download(plan_download(f"{bucket.url}/photos.zip", tmp_path, SHA256))
    assert (tmp_path / "photos.zip").read_bytes() == DATA


def test_sets_with_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in KNOWN_SETS.values():
        assert CHECKSUM.fullmatch(known.checksum)
        assert known.url.startswith("https://") and known.licence
    with serve_files(tmp_path / "web") as web:
        pets = KnownSet(f"{web.url}/photos.zip", SHA256, "free")
        monkeypatch.setitem(KNOWN_SETS, "pets", pets)
        plan = plan_download("pets", tmp_path)
        assert plan.licence == "free" and download(plan).checksum == SHA256
    with pytest.raises(ConfigError, match="nearest is imagenette"):
        plan_download("imagenete")
    with pytest.raises(ConfigError, match=re.escape("write it like sha256:0123...")):
        plan_download("pets", checksum="0123")
    with pytest.raises(ConfigError, match="names no file"):
        plan_download("https://example.org")
