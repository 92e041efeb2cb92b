"""The pace of a build: by arithmetic, and of photos that are built here or on Beam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alexnet.benchmarks import sample_pace
from alexnet.benchmarks.sample_pace import SampleJob, build_on_beam, pace
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.source.scan import scan
from tests.conftest import NUM_PHOTOS, SIDE
from tests.pipeline.build.test_build import content


def test_a_pace_is_what_comes_after_the_start() -> None:
    """2 s until the workers are up, a burst of 3 that waited, then 10 a second."""
    times = [0.0, 2.0, 2.0, 2.3, *(2.3 + 0.1 * n for n in range(1, 8))]
    found = pace(times, skip=3, speed_up=1)
    assert found == pytest.approx((2.0, 10.0))
    assert found.seconds(1000) == pytest.approx(102.0)
    assert pace(times, skip=3, speed_up=4) == pytest.approx((2.0, 40.0))


def test_no_build_starts_before_it_is_asked_to() -> None:
    """A first image that comes at once and slow ones after it."""
    assert pace([0.0, 0.1, 1.1, 2.1], skip=1, speed_up=1) == pytest.approx((0, 1))


def test_a_few_photos_keep_a_few_workers_busy(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 photos, 8 for each of 3 workers; a whole build would have 6 of them."""
    asked = []

    def remember(*arguments: Any, workers: int, **options: Any) -> Any:
        asked.append(workers)
        return build(*arguments, workers=1, **options)

    monkeypatch.setattr(sample_pace, "build", remember)
    monkeypatch.setattr(sample_pace, "PHOTOS_A_WORKER", 8)
    monkeypatch.setattr(sample_pace, "CHUNK", 2)
    monkeypatch.setattr(sample_pace, "pace", lambda *arguments: arguments)
    builds: dict[StorageName, BuildConfig] = {
        "raw": BuildConfig(storage="raw", side=SIDE)
    }
    job = SampleJob(scan(photos), tmp_path, builds, workers=6)
    given: Any = job.build("raw")
    times, skip, speed_up = given
    assert asked == [3]
    assert len(times) == NUM_PHOTOS + 1
    assert times == sorted(times)
    assert (skip, speed_up) == (6, 2)


@pytest.mark.slow
def test_beam_builds_the_sample_in_every_storage(photos: Path, tmp_path: Path) -> None:
    """Ten workers are ten times as fast as the one that a storage is given to."""
    storages: tuple[StorageName, ...] = ("jpeg", "raw")
    builds = {name: BuildConfig(storage=name, side=SIDE) for name in storages}
    job = SampleJob(scan(photos), tmp_path, builds, workers=10)
    found = dict(build_on_beam(job, ()))
    assert [*found] == [*storages]
    for storage in storages:
        assert found[storage].images_per_second > 0
        together = replace(builds[storage], validation_fraction=0, shards=1)
        build(scan(photos), tmp_path / "here", together, workers=1, overwrite=True)
        assert content(tmp_path / storage) == content(tmp_path / "here")
