"""Shards that Beam's workers write are those that this machine's processes write."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from alexnet.pipeline.build.beam import ShardJob
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.build.plan import ShardPlan, make_plan
from alexnet.pipeline.build.state import STATE
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.source.scan import ImageFile, scan
from tests.conftest import NUM_PHOTOS, SIDE
from tests.pipeline.build.test_build import content, interrupted

CONFIG = BuildConfig(side=SIDE, shards=3)
PROCESSES = ("--direct_running_mode=multi_processing",)


@pytest.mark.parametrize(
    ("storage", "options"),
    [*((storage, ()) for storage in get_args(StorageName)), ("jpeg", PROCESSES)],
)
def test_the_bytes_are_those_of_a_local_build(
    photos: Path,
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    config = BuildConfig(storage=storage, side=SIDE, shards=3)
    report = build(scan(photos), tmp_path, config, beam=options, workers=2)
    assert content(tmp_path) == content(record_sets[storage])
    assert report.encoded == NUM_PHOTOS


def test_the_workers_are_as_many_as_are_asked_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that are given come last, where Beam lets them win."""
    seen = []

    def heard(flags: list[str]) -> PipelineOptions:
        options = PipelineOptions(flags)
        seen.append(options.view_as(DirectOptions))
        return options

    options_of_beam = "apache_beam.options.pipeline_options.PipelineOptions"
    monkeypatch.setattr(options_of_beam, heard)
    build(scan(photos), tmp_path / "a", CONFIG, beam=(), workers=2)
    options = ("--direct_running_mode=in_memory", "--direct_num_workers=1")
    build(scan(photos), tmp_path / "b", CONFIG, beam=options, workers=2)
    assert [o.direct_num_workers for o in seen] == [2, 1]
    assert [o.direct_running_mode for o in seen] == ["multi_threading", "in_memory"]


def test_only_what_is_missing_is_written(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    """Begun on this machine and ended by Beam, with a killed worker's folder there."""
    interrupted(scan(photos), tmp_path, 10)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.tfrecord")}
    assert len(kept) == 1
    killed = tmp_path / ".build" / "attempt-killed"
    killed.mkdir()
    (killed / "half").write_bytes(b"half")
    report = build(scan(photos), tmp_path, CONFIG, beam=())
    assert report.encoded == NUM_PHOTOS - 6
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert content(tmp_path) == content(record_sets["jpeg"])


def test_progress_is_told_a_shard_at_a_time(photos: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    build(
        scan(photos),
        tmp_path,
        CONFIG,
        beam=(),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[0] == (0, NUM_PHOTOS)  # from where the rate counts
    assert told[-1] == (NUM_PHOTOS, NUM_PHOTOS)
    assert {done % 6 for done, _ in told} == {0}


@pytest.fixture
def flawed(photos: Path, tmp_path: Path) -> Path:
    """`photos` with two empty files."""
    folder = tmp_path / "flawed"
    shutil.copytree(photos, folder)
    for name in ("cat/a.jpg", "dog/b.jpg"):
        (folder / name).touch()
    return folder


def test_bad_photos_are_set_aside(flawed: Path, tmp_path: Path) -> None:
    reports = [
        build(scan(flawed), tmp_path / name, CONFIG, max_bad=0.1, beam=beam)
        for name, beam in (("local", None), ("beam", ()))
    ]
    assert content(tmp_path / "local") == content(tmp_path / "beam")
    assert [bad.key for bad in reports[1].quarantined] == ["cat/a.jpg", "dog/b.jpg"]
    assert [report.encoded for report in reports] == [NUM_PHOTOS, NUM_PHOTOS]


def test_too_many_bad_photos_end_it(flawed: Path, tmp_path: Path) -> None:
    """When all are seen: Beam's workers do not know of each other's."""
    out = tmp_path / "records"
    with pytest.raises(DataError, match=r"2 of the first 26 .*`max_bad=0.01`"):
        build(scan(flawed), out, CONFIG, beam=())
    assert not (out / "dataset.json").exists()
    report = build(scan(flawed), out, CONFIG, beam=(), max_bad=0.1)
    assert report.encoded == 0
    assert len(report.quarantined) == 2


def test_a_worker_that_fails_is_told_with_the_way_on(
    photos: Path,
    record_sets: dict[StorageName, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(path: Path, records: object) -> object:
        if path.name.startswith("validation"):
            raise OSError(28, "No space left on device", str(path))
        return write_shard(path, records)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr("alexnet.pipeline.build.shard.write_shard", full)
        with pytest.raises(DataError) as error:
            build(scan(photos), tmp_path, CONFIG, beam=(), workers=1)
    assert "Apache Beam failed: " in str(error.value)
    assert "No space left on device" in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("run the same command again to go on.")
    build(scan(photos), tmp_path, CONFIG, beam=())
    assert content(tmp_path) == content(record_sets["jpeg"])


class Overtaken:
    """A worker that was believed lost: another writes its whole shard meanwhile."""

    def __init__(self, job: ShardJob, shard: ShardPlan) -> None:
        self.job, self.shard = job, shard
        self.class_names = job.encode_job.class_names
        self.written = b""

    def encode(self, file: ImageFile) -> EncodeResult:
        if file == self.shard.files[3]:
            self.job.write(self.shard)
            self.written = (self.job.out / self.shard.name).read_bytes()
        return self.job.encode_job.encode(file)


def test_two_workers_at_one_shard_do_not_meet(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    source = scan(photos)
    shard = make_plan(source.files, source.class_names, CONFIG).shards[0]
    job = ShardJob(tmp_path, EncodeJob(source.store, source.class_names, CONFIG, None))
    lost: Any = Overtaken(job, shard)
    (tmp_path / STATE).mkdir()
    ShardJob(tmp_path, lost).write(shard)
    expected = (record_sets["jpeg"] / shard.name).read_bytes()
    assert lost.written == expected
    names = [shard.name, f"{STATE}/{shard.name}.json"]
    assert sorted(content(tmp_path)) == sorted(names)
    assert content(tmp_path)[shard.name] == expected


def test_options_that_beam_refuses_are_told_in_a_line(
    photos: Path, tmp_path: Path
) -> None:
    wrong = ("--direct_running_mode=fast",)
    with pytest.raises(ConfigError) as error:
        build(scan(photos), tmp_path, CONFIG, beam=wrong)
    reason = "argument --direct_running_mode: invalid choice: 'fast'"
    assert str(error.value).startswith(f"the options of the Beam pipeline: {reason}")
    assert "\n" not in str(error.value)


def test_without_beam_the_error_says_what_to_install(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.setattr("alexnet.pipeline.beam.options.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'alexnet\[beam\]'"):
        build(scan(photos), tmp_path / "records", CONFIG, beam=())
    assert not (tmp_path / "records").exists()
