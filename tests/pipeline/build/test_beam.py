"""Shards that Beam's workers write are those that this machine's processes write."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

import alexnet.pipeline.build.beam
from alexnet.pipeline.beam.options import parse_options
from alexnet.pipeline.build import processes
from alexnet.pipeline.build.beam import ShardJob
from alexnet.pipeline.build.build import build
from alexnet.pipeline.build.claim import Claim
from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.build.plan import make_plan
from alexnet.pipeline.build.state import (
    STATE,
    build_settings,
    open_state,
    state_fingerprint,
)
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.records.tfrecord import write_shard
from alexnet.pipeline.source.scan import ImageFile, scan
from tests.conftest import NUM_PHOTOS, SIDE, slow
from tests.pipeline.build.test_build import content, interrupted
from tests.pipeline.deadly import KeyStore

CONFIG = BuildConfig(side=SIDE, shards=3)
PROCESSES = ("--direct_running_mode=multi_processing",)


@pytest.mark.parametrize(
    ("storage", "options"),
    [
        *((storage, ()) for storage in get_args(StorageName)),
        slow("jpeg", PROCESSES),
    ],
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


@pytest.mark.slow
def test_the_workers_are_as_many_as_are_asked_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that are given come last, where Beam lets them win."""
    seen: list[DirectOptions] = []

    def heard(words: Sequence[str], workers: int) -> PipelineOptions:
        options = parse_options(words, workers)
        seen.append(options.view_as(DirectOptions))
        return options

    monkeypatch.setattr("alexnet.pipeline.beam.run.parse_options", heard)
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


@pytest.mark.slow
def test_too_many_bad_photos_end_it(flawed: Path, tmp_path: Path) -> None:
    """When all are seen: Beam's workers do not know of each other's."""
    out = tmp_path / "records"
    with pytest.raises(DataError, match=r"2 of the first 26 .*`max_bad=0.01`"):
        build(scan(flawed), out, CONFIG, beam=())
    assert not (out / "dataset.json").exists()
    report = build(scan(flawed), out, CONFIG, beam=(), max_bad=0.1)
    assert report.encoded == 0
    assert len(report.quarantined) == 2


@pytest.mark.slow
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


def shard_job(out: Path, encode_job: EncodeJob) -> ShardJob:
    return ShardJob(out, Claim(), encode_job, 1000, state_fingerprint(out))


def test_two_workers_at_one_shard_do_not_meet(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    """One was believed lost: another writes its whole shard meanwhile."""
    source = scan(photos)
    shard = make_plan(source.files, source.class_names, CONFIG).shards[0]
    encode_job = EncodeJob(source.store, source.class_names, CONFIG, None)
    job, written = shard_job(tmp_path, encode_job), []
    (tmp_path / STATE).mkdir()

    def encode(files: Iterable[ImageFile]) -> Iterator[EncodeResult]:
        return map(encode_job.encode, files)

    def encode_late(files: Iterable[ImageFile]) -> Iterator[EncodeResult]:
        first, *others = files
        yield encode_job.encode(first)
        job.write(shard, encode)
        written.append((tmp_path / shard.name).read_bytes())
        yield from encode(others)

    job.write(shard, encode_late)
    expected = (record_sets["jpeg"] / shard.name).read_bytes()
    assert written == [expected]
    names = [shard.name, f"{STATE}/{shard.name}.json"]
    assert sorted(content(tmp_path)) == sorted(names)
    assert content(tmp_path)[shard.name] == expected


def test_a_worker_of_a_build_that_ended_writes_nothing(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    """Its driver was killed, and another build begun in the folder, or ended."""
    source = scan(photos)
    plan = make_plan(source.files, source.class_names, CONFIG)
    names = [shard.name for shard in plan.shards]
    open_state(tmp_path, build_settings(source, CONFIG, names))
    encode_job = EncodeJob(source.store, source.class_names, CONFIG, None)
    lost = shard_job(tmp_path, encode_job)
    build(source, tmp_path, replace(CONFIG, side=48), overwrite=True, workers=1)
    (tmp_path / STATE).mkdir()
    before = content(tmp_path)
    with pytest.raises(DataError, match="has ended, or another has begun"):
        lost.write(plan.shards[0], lambda files: map(encode_job.encode, files))
    assert content(tmp_path) == before


def test_no_file_travels_with_the_pipeline(
    photos: Path,
    record_sets: dict[StorageName, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A million of them would be more than some runners take."""

    def do_here(job: Any, parts: Any, *others: Any, look: Any) -> None:
        sent = pickle.dumps((job, parts))
        assert b".jpg" not in sent
        job, parts = pickle.loads(sent)
        with job.open() as write:
            for part in parts:
                write(part)
        look()

    monkeypatch.setattr(alexnet.pipeline.build.beam, "run_on_beam", do_here)
    build(scan(photos), tmp_path, CONFIG, beam=())
    assert content(tmp_path) == content(record_sets["jpeg"])


def test_another_machine_goes_on(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    """It has the photos at another place, and the same record set."""
    out, elsewhere = tmp_path / "records", tmp_path / "mounted" / "photos"
    interrupted(scan(photos), out, 10)
    shutil.copytree(photos, elsewhere)
    report = build(scan(elsewhere), out, CONFIG, beam=(), workers=1)
    assert report.encoded == NUM_PHOTOS - 6
    assert content(out) == content(record_sets["jpeg"])


def test_no_process_is_left_behind(photos: Path, tmp_path: Path) -> None:
    build(scan(photos), tmp_path, CONFIG, beam=(), workers=1)
    assert multiprocessing.active_children() == []


def test_a_worker_that_does_not_share_the_records_says_so(tmp_path: Path) -> None:
    job = shard_job(tmp_path / "gone", EncodeJob(KeyStore(), ("cat",), CONFIG, None))
    with pytest.raises(DataError, match=r"a worker on \S+ sees no .*gone"), job.open():
        pass


def test_a_daemon_is_told_that_it_may_start_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = SimpleNamespace(daemon=True)
    monkeypatch.setattr(processes, "current_process", lambda: daemon)
    (tmp_path / STATE).mkdir()
    job = shard_job(tmp_path, EncodeJob(KeyStore(), ("cat",), CONFIG, None))
    with pytest.raises(DataError, match="DASK_DISTRIBUTED__WORKER__DAEMON=False"):
        job.open().__enter__()


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
