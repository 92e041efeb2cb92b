"""Builds and more on clusters: bytes, errors and promises are those of a local one."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

import alexnet.pipeline.build.build
from alexnet.pipeline.beam.answers import ask_workers
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError, ReadError
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.source.scan import scan
from alexnet.pipeline.verify.verify import verify
from tests.conftest import NUM_PHOTOS, SIDE, smooth_photo
from tests.pipeline.beam.conftest import Cluster, free_port
from tests.pipeline.beam.jobs import describe
from tests.pipeline.build.test_build import content, interrupted
from tests.pipeline.deadly import CRASHING, DeadlyPhotosJob
from tests.pipeline.test_read_errors import failing
from tests.pipeline.verify.test_beam import damage
from tests.remote import contents, upload
from tests.s3 import KEY, S3, SECRET

pytestmark = pytest.mark.slow

CONFIG = BuildConfig(side=SIDE, shards=3)


def test_the_bytes_are_those_of_a_local_build(
    photos: Path,
    record_sets: dict[StorageName, Path],
    cluster: Cluster,
    tmp_path: Path,
) -> None:
    """Begun here, by a build that was stopped, and ended there."""
    interrupted(scan(photos), tmp_path, 10)
    report = build(scan(photos), tmp_path, CONFIG, beam=cluster.options)
    assert report.encoded == NUM_PHOTOS - 6
    assert content(tmp_path) == content(record_sets["jpeg"])


def test_the_bytes_are_those_in_a_bucket_too(
    photos: Path,
    record_sets: dict[StorageName, Path],
    cluster: Cluster,
    s3: S3,
    bucket: Location,
) -> None:
    """Where nobody shares a folder; the workers may have begun without its address."""
    upload(photos, bucket / "train")
    options = {"endpoint_url": s3.endpoint, "key": KEY, "secret": SECRET}
    there = Location(bucket.url, options)
    build(scan(there / "train"), there / "out", CONFIG, beam=cluster.options)
    assert contents(bucket / "out") == content(record_sets["jpeg"])


def test_photos_that_crash_their_decoder_cost_themselves_alone(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(44):
        name = f"{('cat', 'dog')[number % 2]}.{number}.png"
        smooth_photo(number, 20, 20).save(folder / name)
    monkeypatch.setattr(alexnet.pipeline.build.build, "EncodeJob", DeadlyPhotosJob)
    reports = [
        build(scan(folder), tmp_path / name, CONFIG, workers=2, max_bad=1, beam=beam)
        for name, beam in (("local", None), ("beam", cluster.options))
    ]
    reasons = dict.fromkeys(CRASHING, "its decoder crashed (signal 11)")
    for report in reports:
        assert {bad.key: bad.reason for bad in report.quarantined} == reasons
    assert content(tmp_path / "local") == content(tmp_path / "beam")


def test_a_photo_that_cannot_be_read_ends_it_and_is_named(
    photos: Path,
    record_sets: dict[StorageName, Path],
    cluster: Cluster,
    tmp_path: Path,
) -> None:
    disk, out = failing(photos, tmp_path, errno.EIO), tmp_path / "out"
    with pytest.raises(ReadError) as error:
        build(disk.source, out, CONFIG, max_bad=1, beam=cluster.options)
    said = str(error.value)
    assert said.startswith(f"{photos / disk.key} cannot be read: Input/output error. ")
    assert said.endswith(f"finished shards are kept in {out}.")
    disk.mend()
    build(disk.source, out, CONFIG, beam=cluster.options)
    assert content(out) == content(record_sets["jpeg"])


def test_answers_come_from_there(cluster: Cluster, tmp_path: Path) -> None:
    answers = ask_workers(describe, ["a", "bb"], tmp_path, cluster.options, 1)
    assert [answer["length"] for answer in answers] == [1, 2]
    assert os.getpid() not in {answer["process"] for answer in answers}


def test_the_damage_that_is_found_is_that_of_a_local_verify(
    record_sets: dict[StorageName, Path],
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At a path that is relative here, and not where the workers run."""
    damage(Path(shutil.copytree(record_sets["raw"], tmp_path / "set")))
    monkeypatch.chdir(tmp_path)
    assert verify(Path("set"), beam=cluster.options) == verify(Path("set"))


def test_without_a_job_server_the_error_is_one_line(
    photos: Path, tmp_path: Path
) -> None:
    options = (
        "--runner=PortableRunner",
        f"--job_endpoint=localhost:{free_port()}",
        "--job_server_timeout=1",
        "--environment_type=LOOPBACK",
    )
    with pytest.raises(DataError, match=r"^Apache Beam failed: [^\n]*$"):
        build(scan(photos), tmp_path, CONFIG, beam=options)
