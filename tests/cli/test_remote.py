"""Commands on buckets and downloads, as a user types them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from alexnet.cli.plan_messages import fit_command
from alexnet.pipeline.remote.location import Location
from tests.cli.conftest import alexnet, alexnet_json, failure
from tests.conftest import NUM_PHOTOS
from tests.remote import contents, serve_files, upload
from tests.s3 import KEY, SECRET

SMALL = ("--side", 16, "--workers", 1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_from_a_bucket_to_a_bucket(photos: Path, bucket: Location, here: Path) -> None:
    upload(photos, bucket / "train")
    train, records = f"{bucket.url}/train", f"{bucket.url}/records"
    ended = alexnet("records", "build", train, "--out", records, *SMALL)
    assert ended.code == 0, ended.err
    assert f"{train}: 24 images of 2 classes (cat, dog)" in ended.err
    assert f"next: {fit_command(records)}\n" in ended.err
    again = alexnet("records", "build", train, "--out", records, *SMALL)
    assert f"{records} is finished already" in again.err
    told = alexnet_json("records", "verify", records)
    assert told["data"] == records and told["num_examples"] == NUM_PHOTOS
    (bucket / "records/labels.txt").unlink()
    repair = ("records", "verify", records, "--repair", "--source", train)
    assert alexnet_json(*repair)["repaired"] == ["labels.txt"]
    assert not any(here.iterdir())
    for text in (ended.err, again.err, str(told)):
        assert KEY not in text and SECRET not in text


def test_what_is_not_there_is_named(bucket: Location, here: Path) -> None:
    assert failure("records", "build", f"{bucket}/none").startswith(
        f"no such folder: {bucket}/none. Expected a folder of class folders"
    )
    said = failure("records", "verify", f"{bucket}/none")
    assert said.startswith(f"no such folder: {bucket}/none. Expected a record set")
    assert not any(here.iterdir())


@pytest.mark.slow
def test_download_and_build(photos: Path, tmp_path: Path, here: Path) -> None:
    (tmp_path / "web").mkdir()
    with zipfile.ZipFile(tmp_path / "web/photos.zip", "w") as archive:
        for path in photos.rglob("*.jpg"):
            archive.write(path, path.relative_to(photos))
    with serve_files(tmp_path / "web") as web:
        url = f"{web.url}/photos.zip?signature=5ec7et"
        told = alexnet_json("download", url)
        assert told["out"] == "photos.zip" and told["url"].endswith("photos.zip?...")
        assert told["num_bytes"] == (here / "photos.zip").stat().st_size
        again = alexnet("download", url, "--checksum", told["checksum"])
        assert "photos.zip is there already; nothing to do" in again.err
        assert again.out == "photos.zip\n" and "5ec7et" not in again.err
        wrong = f"md5:{'0' * 32}"
        said = failure("download", url, "--out", "other.zip", "--checksum", wrong)
        assert "was not kept" in said and "5ec7et" not in said
        remote = alexnet_json("records", "build", url, "--out", "remote", *SMALL)
    built = alexnet_json("records", "build", told["out"], *SMALL)
    assert built["splits"] == remote["splits"]
    assert contents(here / "records") == contents(here / "remote")
    assert b"5ec7et" not in b"".join(contents(here / "remote").values())


def test_sets_that_nobody_knows() -> None:
    assert "the nearest is imagenette" in failure("download", "imagenet")
    assert "write it like sha256:" in failure("download", "s3://b/x", "--checksum", "1")


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["rclone"], indirect=True)
def test_training_on_photos_in_a_bucket(
    photos: Path, bucket: Location, here: Path
) -> None:
    """And evaluating the run, and predicting others there, one of them broken."""
    url = f"{upload(photos, bucket / 'train').url}"
    words = "--width 0.05 --image-size 67 --batch-size 8".split()
    begun = alexnet("fit", url, "--run", "run", "--epochs", 1, *words)
    assert f"photos again: `alexnet records build {url}` makes records" in begun.err
    assert alexnet_json("evaluate", "run")["num_examples"] == NUM_PHOTOS // 4
    (bucket / "train/cat/none.jpg").write_bytes(b"no photo")
    told = alexnet("predict", "run", f"{url}/cat", f"{url}/dog/01.jpg", "--json")
    assert told.code == 1
    found = {one["image"]: one for one in told.json["predictions"]}
    assert len(found) == NUM_PHOTOS // 2 + 2
    broken = [name for name, one in found.items() if "error" in one]
    assert broken == [f"{url}/cat/none.jpg"]
