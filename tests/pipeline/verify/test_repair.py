"""A mended set is byte for byte the one that was built."""

from __future__ import annotations

import errno
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import alexnet.pipeline.build.plan
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.quarantine import QUARANTINE
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.manifest import LABELS, MANIFEST, load_manifest
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.verify.repair import find_origin, name_photos, repair
from alexnet.pipeline.verify.verify import verify
from tests.conftest import NUM_PHOTOS, SIDE, flip, smooth_photo
from tests.pipeline.build.test_build import content, stop_after
from tests.pipeline.records.test_manifest import change_manifest
from tests.pipeline.verify.test_damage import folder, jpeg, places, remove_indexes

__all__ = ["folder", "jpeg"]  # fixtures
SHARDS = [f"train-{number:05d}-of-00003.tfrecord" for number in range(3)]


@pytest.fixture
def own_photos(photos: Path, tmp_path: Path) -> Path:
    """The photos in a folder where they may be changed."""
    return Path(shutil.copytree(photos, tmp_path / "photos"))


def mend(folder: Path, photos: Path) -> tuple[str, ...]:
    return repair(verify(folder), find_origin(folder, photos))


def test_all_kinds_of_damage_are_mended(folder: Path, photos: Path) -> None:
    before = content(folder)
    flip(folder / SHARDS[0], 30)
    (folder / SHARDS[1]).unlink()
    (folder / SHARDS[2]).write_bytes(b"short")
    (folder / LABELS).unlink()
    time = (folder / "validation-00000-of-00001.tfrecord").stat().st_mtime_ns
    assert mend(folder, photos) == (LABELS, *SHARDS)
    assert content(folder) == before
    assert verify(folder).bad == ()
    after = (folder / "validation-00000-of-00001.tfrecord").stat().st_mtime_ns
    assert after == time


def test_indexes_are_written_anew(jpeg: Path, photos: Path) -> None:
    before = content(jpeg)
    index = (jpeg / "idx" / SHARDS[0]).with_suffix(".idx")
    index.write_text("0 0\n")
    assert mend(jpeg, photos) == (f"idx/{index.name}",)
    assert content(jpeg) == before
    remove_indexes(jpeg)
    assert mend(jpeg, photos) == ()
    assert content(jpeg) == before


def test_photos_are_named_by_their_source(folder: Path, photos: Path) -> None:
    place = places(folder / SHARDS[1])[4]
    shard = (folder / SHARDS[1]).read_bytes()
    flip(folder / SHARDS[1], shard.index(place.key.encode(), place.start))
    (folder / SHARDS[2]).unlink()
    report = name_photos(verify(folder), find_origin(folder, photos))
    assert [one.key for one in report.bad] == [place.key, None]


@pytest.mark.parametrize("images", [0, 1, 6, 7, 11])
def test_an_interrupt_leaves_nothing_half_done(
    jpeg: Path, photos: Path, images: int
) -> None:
    before = content(jpeg)
    for name in SHARDS[:2]:
        flip(jpeg / name, 30)
    damaged = content(jpeg)
    origin, report = find_origin(jpeg, photos), verify(jpeg)
    with pytest.raises(KeyboardInterrupt):
        repair(report, origin, stop_after(images))
    mended = {name: before[name] for name in SHARDS[: max(0, images - 1) // 6]}
    assert content(jpeg) == damaged | mended
    assert mend(jpeg, photos) == tuple(SHARDS[len(mended) : 2])
    assert content(jpeg) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda photos: smooth_photo(99, 20, 20).save(photos / "cat" / "99.jpg"),
        lambda photos: (photos / "cat" / "00.jpg").unlink(),
        lambda photos: (photos / "cat").rename(photos / "fox"),
    ],
)
def test_another_source_is_refused(
    jpeg: Path, own_photos: Path, change: Callable[[Path], None]
) -> None:
    change(own_photos)
    with pytest.raises(DataError, match=r"not built from what .* --overwrite"):
        find_origin(jpeg, own_photos)


@pytest.mark.parametrize("readable", [True, False])
def test_a_changed_photo_leaves_the_damaged_shard_as_it_was(
    jpeg: Path, own_photos: Path, readable: bool
) -> None:
    key = places(jpeg / SHARDS[0])[3].key
    photo = own_photos / key
    size = photo.stat().st_size
    smooth_photo(99, 8, 8).save(photo)
    data = photo.read_bytes() if readable else b""
    photo.write_bytes(data.ljust(size, b"\0"))
    flip(jpeg / SHARDS[0], 30)
    damaged = content(jpeg)
    with pytest.raises(DataError, match="other bytes than those") as error:
        mend(jpeg, own_photos)
    assert (key in str(error.value)) == (not readable)
    assert "--overwrite" in str(error.value)
    assert content(jpeg) == damaged


def test_a_file_that_may_not_grow_leaves_the_damaged_shard_as_it_was(
    folder: Path, photos: Path
) -> None:
    """As a quota does, and a disk that fills up."""
    before = content(folder)
    flip(folder / SHARDS[0], 30)
    damaged = content(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before[SHARDS[0]]) - 1, hard))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            mend(folder, photos)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG
    assert SHARDS[0] in str(error.value.filename)
    assert content(folder) == damaged
    assert mend(folder, photos) == (SHARDS[0],)
    assert content(folder) == before


@pytest.mark.parametrize("listed", [True, False])
def test_what_was_set_aside_stays_aside(
    own_photos: Path, tmp_path: Path, listed: bool
) -> None:
    flawed = own_photos / "cat" / "flawed.jpg"
    flawed.write_bytes(bytes(2000))
    folder = tmp_path / "set"
    config = BuildConfig(side=SIDE, shards=1, validation_fraction=0)
    build(scan(own_photos), folder, config, workers=1)
    assert load_manifest(folder).splits["train"].num_examples == NUM_PHOTOS
    before = content(folder)
    if listed:
        smooth_photo(99, 8, 8).save(flawed)
        flawed.write_bytes(flawed.read_bytes().ljust(2000, b"\0"))
    else:
        (folder / QUARANTINE).unlink()
        before.pop(QUARANTINE)
    flip(folder / "train-00000-of-00001.tfrecord", 30)
    mend(folder, own_photos)
    assert content(folder) == before


def test_a_damaged_manifest_is_not_mended(jpeg: Path, photos: Path) -> None:
    change_manifest(
        jpeg, lambda values: values["splits"]["train"].update(class_counts=[8, 10])
    )
    with pytest.raises(DataError, match=r"cannot be repaired.*--overwrite"):
        mend(jpeg, photos)
    (jpeg / MANIFEST).write_text("{")
    with pytest.raises(DataError, match=r"cannot be repaired.*in another folder"):
        find_origin(jpeg, photos)


def test_a_version_that_plans_other_shards_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(scan(photos), tmp_path, BuildConfig(side=SIDE), workers=1)
    find_origin(tmp_path, photos)
    monkeypatch.setattr(alexnet.pipeline.build.plan, "MIN_SHARD_EXAMPLES", 2)
    with pytest.raises(DataError, match="other shards"):
        find_origin(tmp_path, photos)
