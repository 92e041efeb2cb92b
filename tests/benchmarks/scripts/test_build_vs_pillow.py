"""The build's benchmark: its limit does the build's work, its rates are arithmetic."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier
from typing import Any, get_args

import pytest
import tensorflow as tf

from alexnet.benchmarks.scripts import build_vs_pillow
from alexnet.benchmarks.scripts.build_vs_pillow import (
    as_round,
    bare_pillow,
    limit_rate,
    pick,
)
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import scan
from tests.conftest import NUM_PHOTOS, SIDE


@pytest.mark.parametrize("storage", get_args(StorageName))
def test_the_limit_makes_what_the_records_hold(
    photos: Path, record_sets: dict[StorageName, Path], storage: StorageName
) -> None:
    config = BuildConfig(storage=storage, side=SIDE)
    pixels = "image/raw" if storage in ("raw", "yuv420") else "image/encoded"
    count = 0
    for shard in record_sets[storage].glob("*.tfrecord"):
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            (key,) = features["image/filename"].bytes_list.value
            (stored,) = features[pixels].bytes_list.value
            assert bare_pillow((photos / key.decode()).read_bytes(), config) == stored
            count += 1
    assert count == NUM_PHOTOS


def test_photos_are_picked_evenly(photos: Path) -> None:
    source = scan(photos)
    keys = [file.key for file in source.files]
    assert [file.key for file in pick(source, 8).files] == keys[::3]
    assert pick(source, NUM_PHOTOS) == pick(source, 1000) == source


def test_the_steady_rate_leaves_out_what_every_build_takes() -> None:
    # 2 of 102 images in 1 s, the other 100 in 4 s.
    assert as_round(102, 2, 5.0, 1.0, 50.0) == {
        "steady": 25.0,
        "whole": 20.4,
        "limit": 50.0,
    }


@pytest.mark.parametrize(("images", "seconds"), [(2, 3.0), (10, 1.0), (10, 0.5)])
def test_too_few_photos_are_refused(images: int, seconds: float) -> None:
    with pytest.raises(DataError, match=rf"{images} photos are too few.*--photos"):
        as_round(images, 2, seconds, 1.0, 50.0)


def test_every_photo_of_a_share_is_worked_on(photos: Path) -> None:
    good = (photos / "cat" / "00.jpg").read_bytes()
    config = BuildConfig(side=SIDE)
    start, end = build_vs_pillow._work([good] * 5, config, Barrier(1))
    assert start < end
    with pytest.raises(OSError, match="cannot identify image"):
        build_vs_pillow._work([*[good] * 5, b"no photo"], config, Barrier(1))


def test_the_limit_counts_from_the_first_start_to_the_last_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = [(1.0, 3.0), (1.5, 5.0), (1.25, 2.0)]
    shares: list[list[bytes]] = []

    class Pool(nullcontext[Any]):
        def __init__(self, workers: int, context: object) -> None:
            super().__init__(self)

        def submit(self, work: object, share: list[bytes], *rest: object) -> Any:
            shares.append(share)
            future: Future[tuple[float, float]] = Future()
            future.set_result(times[len(shares) - 1])
            return future

    monkeypatch.setattr(build_vs_pillow, "ProcessPoolExecutor", Pool)
    photos = [bytes([number]) for number in range(8)]
    assert limit_rate(photos, BuildConfig(), 3) == 8 / (5.0 - 1.0)
    assert sorted(photo for share in shares for photo in share) == photos
    assert [len(share) for share in shares] == [3, 3, 2]


def test_the_command_takes_medians_and_pairs(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = iter([10.0, 30.0, 20.0])
    # Of one photo a worker, then of all 24.
    seconds = iter([1.0, 3.0, 3.0, 5.0, 2.0, 4.0])
    monkeypatch.setattr(build_vs_pillow, "num_cpus", lambda: 4)
    monkeypatch.setattr(build_vs_pillow, "limit_rate", lambda *_: next(limits))
    monkeypatch.setattr(build_vs_pillow, "build_seconds", lambda *_: next(seconds))
    build_vs_pillow.main([str(photos), "--rounds", "3", "--storage", "raw", "--json"])
    found = json.loads(capsys.readouterr().out)
    share = found.pop("of_limit")
    assert found == {
        "storage": "raw",
        "num_images": NUM_PHOTOS,
        "workers": 4,
        "steady_images_per_second": 10.0,
        "whole_images_per_second": 6.0,
        "limit_images_per_second": 20.0,
        "fixed_seconds": 2.0,
    }
    # 20 images in 2 s each time: 1, 1/3 and 1/2 of the limits.
    assert share == {
        "ratio": pytest.approx(1 / 2),
        "spread": pytest.approx((1 - 1 / 3) / (1 / 2)),
    }


def test_a_build_is_timed_and_leaves_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert build_vs_pillow.build_seconds(scan(photos), BuildConfig(side=SIDE), 1) > 0
    assert list(tmp_path.iterdir()) == []


def test_its_processes_import_no_tensorflow() -> None:
    """Each is a new one, which imports the script, as those of a build do."""
    code = (
        f"import sys, {build_vs_pillow.__name__}; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
