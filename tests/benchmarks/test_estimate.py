"""Predictions from a sample, against record sets that were really built."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

import alexnet.benchmarks.train_step
from alexnet.benchmarks import estimate, estimate_plan, sample_build
from alexnet.benchmarks.config import EstimateConfig
from alexnet.benchmarks.estimate import EstimateReport, make_report, run_estimate
from alexnet.benchmarks.estimate_plan import plan_estimate
from alexnet.benchmarks.input_pipeline.first_epoch import FirstEpoch, FirstEpochs
from alexnet.benchmarks.measure import Deliveries, Measurement, Stopwatch, Timing
from alexnet.benchmarks.sample_build import SampleBuild, Size
from alexnet.pipeline.config import BuildConfig, ReadConfig, StorageName
from alexnet.pipeline.errors import ConfigError, DataError
from alexnet.pipeline.machine import Memory
from alexnet.pipeline.read.dataset import train_stages
from alexnet.pipeline.source.scan import scan
from tests.conftest import NUM_PHOTOS, SIDE

SHORT = EstimateConfig(side=SIDE, sample=NUM_PHOTOS, seconds=0.02)


def predict(
    photos: Path, out: Path, config: EstimateConfig = SHORT, **more: Any
) -> EstimateReport:
    return run_estimate(photos, scan(photos), out, config, **more)


def try_only(storage: StorageName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the other storages out, where they add nothing to a test."""
    only = {storage: BuildConfig(storage=storage, side=SIDE)}
    monkeypatch.setattr(EstimateConfig, "builds", lambda _: only)


@pytest.fixture(scope="module")
def report(
    photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[EstimateReport, Path, list[tuple[str, int, int]]]:
    """All of the photos tried, the folder it was done in, and the progress told."""
    folder, told = tmp_path_factory.mktemp("plan"), []
    config = replace(SHORT, train_images_per_second=1.0)
    found = predict(
        photos, folder / "records", config, progress=lambda *news: told.append(news)
    )
    return found, folder, told


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_all_photos_tried_are_the_size_of_the_set(
    report: tuple[EstimateReport, Path, Any],
    record_sets: dict[StorageName, Path],
    storage: StorageName,
) -> None:
    shards = record_sets[storage].glob("*.tfrecord")
    one = report[0].storages[storage]
    assert one.bytes == sum(path.stat().st_size for path in shards)
    assert one.bytes_error == 0
    assert one.bytes_per_image == one.bytes / NUM_PHOTOS


def test_the_report_is_json_of_positive_figures(
    report: tuple[EstimateReport, Path, Any], photos: Path
) -> None:
    values = json.loads(json.dumps(report[0].to_json()))
    assert values["source"] == str(photos)
    assert [values[name] for name in ("num_images", "sample", "num_bad", "side")] == [
        *(NUM_PHOTOS, NUM_PHOTOS, 0, SIDE)
    ]
    assert sorted(values["storages"]) == sorted(get_args(StorageName))
    for one in values["storages"].values():
        assert one["images_per_second"] > 0
        assert one["build_seconds"] > 0
        assert (one["in_memory"], one["fits_disk"], one["fed"]) == (True, True, True)
    # All of them feed a step that takes one image a second.
    least = min(values["storages"], key=lambda name: values["storages"][name]["bytes"])
    assert values["choice"] == least
    assert f"--storage {least}" in values["advice"]


def test_every_step_is_told_and_nothing_is_left(
    report: tuple[EstimateReport, Path, list[tuple[str, int, int]]],
) -> None:
    found, folder, told = report
    steps = [f"{verb} {name}" for name in found.storages for verb in ("build", "read")]
    names = [*steps, "done"]
    assert told == [(name, done, len(steps)) for done, name in enumerate(names)]
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_half_of_the_photos_come_near(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    found = predict(photos, tmp_path, replace(SHORT, sample=NUM_PHOTOS // 2))
    assert (found.num_images, found.sample) == (NUM_PHOTOS, NUM_PHOTOS // 2)
    for storage, one in found.storages.items():
        shards = record_sets[storage].glob("*.tfrecord")
        actual = sum(path.stat().st_size for path in shards)
        assert abs(one.bytes - actual) <= 4 * one.bytes_error
        # Files' sizes are known, and so is what is around those with names as long.
        assert (one.bytes_error > 0) == (storage == "jpeg")


def test_an_odd_side_has_no_half_planes() -> None:
    builds = replace(SHORT, side=15).builds()
    assert sorted(builds) == ["jpeg", "original", "raw"]


def sample_of(size: float, warm: float, cold: float | None = None) -> SampleBuild:
    return SampleBuild(Size(size, 0), 3, 9.0, Measurement(warm, 0.5), cold)


def test_what_follows_from_made_up_trials(photos: Path, tmp_path: Path) -> None:
    plan = replace(
        plan_estimate(photos, scan(photos), tmp_path, SHORT),
        free_bytes=5000,
        memory_bytes=2400,
    )
    trials: Any = {
        "jpeg": sample_of(2400, 119),
        "yuv420": sample_of(4800, 1000, cold=120),
        "raw": sample_of(5001, 2000, cold=3000),
    }
    found = make_report(plan, trials, 100.0)
    assert found.num_bad == 3
    assert found.choice == "yuv420"
    jpeg, planes, raw = (found.storages[n] for n in ("jpeg", "yuv420", "raw"))
    assert (jpeg.bytes_per_image, jpeg.build_seconds, jpeg.spread) == (100, 9, 0.5)
    assert (jpeg.in_memory, planes.in_memory, raw.in_memory) == (True, False, False)
    assert (jpeg.fits_disk, planes.fits_disk, raw.fits_disk) == (True, True, False)
    rates = [one.images_per_second for one in (jpeg, planes, raw)]
    assert rates == [119, 120, 2000]
    assert [one.fed for one in (jpeg, planes, raw)] == [False, True, True]


@pytest.mark.parametrize(
    ("memory", "expected"),
    [(Memory(2**40, 2**40, None), True), (Memory(2**40, 2**40, 100), False)],
)
def test_what_memory_does_not_hold_is_timed_from_the_disk(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory: Memory,
    expected: bool,
) -> None:
    try_only("raw", monkeypatch)
    asked: list[Any] = []
    readers: list[str] = []

    def remember(records: Any, config: ReadConfig) -> Any:
        readers.append(config.reader)
        return train_stages(records, config)

    def slow_disk(start: Any, paths: list[str], num_images: int, _: float) -> Any:
        next(start())
        asked.append((sorted(Path(path).name for path in paths), num_images))
        return FirstEpochs(FirstEpoch(6, 1.0, 0.25), FirstEpoch(6, 1.0, 9.0), 0.0)

    monkeypatch.setattr(sample_build, "train_stages", remember)
    monkeypatch.setattr(sample_build, "time_first_epochs", slow_disk)
    monkeypatch.setattr(estimate_plan, "read_memory", lambda: memory)
    one = predict(photos, tmp_path).storages["raw"]
    assert one.in_memory == expected
    assert (one.images_per_second == 0.25) != expected
    shards = ["train-00000-of-00001.tfrecord"]
    assert asked == ([] if expected else [(shards, NUM_PHOTOS)])
    assert readers == ["auto", *([] if expected else ["stream"])]


def test_a_slow_disk_is_a_slow_build(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second for each kilobyte that is written."""
    try_only("raw", monkeypatch)
    monkeypatch.setattr(sample_build, "_multiply", lambda records, _: (records, 1e-3))
    one = predict(photos, tmp_path).storages["raw"]
    assert one.build_seconds == pytest.approx(one.bytes / 1000, rel=0.1)


@pytest.mark.slow
def test_a_cold_disk_is_really_read(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only("raw", monkeypatch)
    monkeypatch.setattr(estimate_plan, "read_memory", lambda: Memory(1, 1, None))
    one = predict(photos, tmp_path).storages["raw"]
    assert not one.in_memory
    assert one.images_per_second > 0


@pytest.fixture
def spoilt(photos: Path, tmp_path: Path) -> Path:
    """The photos, all of which are text."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    for photo in folder.glob("*/*.jpg"):
        photo.write_text("not a photo")
    return folder


def test_bad_photos_are_counted(
    spoilt: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only("original", monkeypatch)
    for photo in sorted(photos.glob("cat/*.jpg")):
        shutil.copy(photo, spoilt / "cat")
    found = predict(spoilt, tmp_path)
    assert (found.sample, found.num_bad) == (NUM_PHOTOS, NUM_PHOTOS // 2)
    # Each record was laid beside its own file, or what is around them would vary.
    assert found.storages["original"].bytes_error == 0


def test_bad_photos_alone_are_refused(spoilt: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none of the 24 images .* '(cat|dog)/\d+.jpg'"
    ):
        predict(spoilt, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_the_step_is_measured_where_it_is_asked_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_only("raw", monkeypatch)
    asked = []

    def instant(config: Any) -> Any:
        asked.append((config.num_classes, config.mixed_precision))
        return SimpleNamespace(step=Timing("train step", lambda: deliver_one()))

    def deliver_one() -> Deliveries:
        yield from islice(cycle([1.0]), 10**9)

    rates: dict[str, Any] = {"train step": 40.0, "read raw": 50.0}

    class MadeUp(Stopwatch):
        def time(self, timing: Timing) -> Measurement:  # type: ignore[override]
            self.announce(timing.name)
            return Measurement(rates[timing.name], 0.0)

    monkeypatch.setattr(alexnet.benchmarks.train_step, "plan_train_step", instant)
    monkeypatch.setattr(estimate, "Stopwatch", MadeUp)
    told: list[Any] = []
    config = replace(SHORT, train_step=True, mixed_precision=True)
    found = predict(photos, tmp_path, config, progress=lambda *n: told.append(n))
    assert asked == [(2, True)]
    assert found.train_images_per_second == 40.0
    assert found.storages["raw"].fed is True
    assert told == [
        *[(name, done, 3) for done, name in enumerate(["build raw", *reversed(rates)])],
        ("done", 3, 3),
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sample": 0}, "sample is 0; it needs 1 or more"),
        ({"seconds": 0.0}, "seconds is 0.0; it needs more than 0"),
        ({"side": 4}, "side is 4; it needs 8 to 4096"),
        ({"quality": 0}, "quality is 0"),
        ({"train_images_per_second": 0.0}, "train_images_per_second is 0.0"),
        (
            {"train_images_per_second": 9.0, "train_step": True},
            "train_step is True; it needs train_images_per_second left out",
        ),
    ],
)
def test_settings_out_of_range_are_told(
    photos: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_estimate(photos, scan(photos), tmp_path, replace(SHORT, **changed))
