"""A record set in a bucket is read through, and mended, as one in a folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.pipeline.errors import RemoteError
from alexnet.pipeline.records.manifest import LABELS
from alexnet.pipeline.remote import retry
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.verify.repair import find_origin, name_photos, repair
from alexnet.pipeline.verify.verify import verify
from tests.conftest import flip, slow
from tests.pipeline.verify.test_damage import folder, jpeg
from tests.remote import contents, link_to, upload
from tests.s3 import S3

__all__ = ["folder", "jpeg"]  # fixtures
SHARDS = [f"train-{number:05d}-of-00003.tfrecord" for number in range(3)]
every_storage = pytest.mark.parametrize(
    "folder", ["jpeg", *map(slow, ("original", "raw", "yuv420"))], indirect=True
)


@every_storage
def test_every_byte_is_read(folder: Path, s3: S3, bucket: Location) -> None:
    upload(folder, bucket)
    shown: list[tuple[int, int]] = []
    with link_to(s3) as link:
        far = Location(bucket.url, {"endpoint_url": link.endpoint})
        report = verify(far, lambda *done: shown.append(done))
        size = sum(shard.stat().st_size for shard in folder.glob("*.tfrecord"))
        assert link.num_bytes > size
    assert report.bad == () and report.num_examples == 24
    assert shown[0] == (0, size) and shown[-1] == (size, size)
    assert report.to_json()["data"] == str(bucket)


@every_storage
def test_the_same_damage_is_found_as_in_a_folder(
    folder: Path, photos: Path, bucket: Location, tmp_path: Path
) -> None:
    """And mended: bytes that changed, a cut, a missing shard, index and class names."""
    upload(folder, bucket)
    before = contents(bucket)
    flip(folder / SHARDS[0], 3000)
    (folder / SHARDS[1]).write_bytes((folder / SHARDS[1]).read_bytes()[:-50])
    (folder / SHARDS[2]).unlink()
    (folder / LABELS).unlink()
    if (folder / "idx").exists():
        (folder / "idx/validation-00000-of-00001.idx").write_text("0 0\n")
    for key in (SHARDS[2], LABELS):
        (bucket / key).unlink()
    upload(folder, bucket)
    report, here = verify(bucket), verify(folder)
    assert report.bad == here.bad and len(report.bad) >= 4
    origin = find_origin(bucket, photos)
    assert (
        name_photos(report, origin).bad
        == name_photos(here, find_origin(folder, photos)).bad
    )
    mended = repair(report, origin)
    assert set(mended) == {bad.shard for bad in here.bad}
    assert contents(bucket) == before and verify(bucket).bad == ()


@every_storage
def test_a_store_that_is_away_is_no_damage(
    folder: Path, s3: S3, bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder, bucket)
    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.0)
    with link_to(s3) as link:
        far = Location(bucket.url, {"endpoint_url": link.endpoint})
        with pytest.raises(RemoteError, match="has not answered"):
            verify(far, lambda done, total: link.down())
