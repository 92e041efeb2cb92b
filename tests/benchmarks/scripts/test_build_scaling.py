"""The benchmark of many files: what it makes, and how it reads memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from alexnet.benchmarks.scripts import build_scaling
from alexnet.benchmarks.scripts.build_scaling import (
    FilesCost,
    make_files,
    peak_bytes,
    tiny_picture,
)
from alexnet.pipeline.machine import num_cpus

HOLD = "held = b'1' * {num_bytes}; print('held', flush=True); input()"


def test_no_two_files_hold_the_same_picture(tmp_path: Path) -> None:
    make_files(tmp_path / "photos", 300)
    files = sorted((tmp_path / "photos").glob("*/*.jpg"))
    assert {path.parent.name for path in files} == {"cat", "dog"}
    pictures = set()
    for path in files:
        with Image.open(path) as image:
            assert (image.size, image.format) == ((8, 8), "JPEG")
            pictures.add(image.tobytes())
    assert len(pictures) == 300


def test_a_million_numbers_are_a_million_pictures() -> None:
    numbers = [0, 1, 3, 4, 4**9, 999_998, 999_999, 4**16 - 1]
    pictures = [tiny_picture(number).tobytes() for number in numbers]
    squares = [picture[:64:2][:4] for picture in pictures]
    assert squares[:4] == [bytes(4), b"U" + bytes(3), b"\xff" + bytes(3), b"\0U\0\0"]
    assert pictures[-1] == b"\xff" * 64
    assert len(set(pictures)) == len(numbers)


def test_peaks_are_those_of_the_process_that_was_asked_for() -> None:
    peaks, pipe = [], subprocess.PIPE
    for num_bytes in (2**20, 2**26):
        command = [sys.executable, "-c", HOLD.format(num_bytes=num_bytes)]
        with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as process:
            assert process.stdout and process.stdout.readline() == "held\n"
            peaks.append(peak_bytes(process.pid))
            process.communicate("\n")
    assert peaks[1] - peaks[0] == pytest.approx(2**26 - 2**20, rel=0.1)


def test_rates_count_scan_and_build() -> None:
    assert FilesCost(30, 1.0, 100.0, 4.0, 0, 0).images_per_second == 6.0


def test_a_row_for_every_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    build_scaling.main(["--counts", "5", "--json"])
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["num_files"] == 5
    assert row["scan_seconds"] > 0 and row["plan_seconds"] > 0
    seconds = row["scan_seconds"] + row["build_seconds"]
    assert row["images_per_second"] == pytest.approx(5 / seconds)
    assert 10 * 2**20 < row["peak_bytes"] < 100 * 2**20
    if num_cpus() > 1:
        assert 10 * 2**20 < row["worker_peak_bytes"] < 100 * 2**20
    assert list(tmp_path.iterdir()) == []
