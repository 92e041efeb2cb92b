"""The load of a made-up GPU: sampled, summed up and drawn."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.gpu import load
from benchmarks.gpu.load import LoadWatch, Sample, summarize, to_json
from benchmarks.gpu.load_plot import _draw, draw_loads


class NoAnswer(Exception):
    """What the made-up driver raises."""


class Driver(SimpleNamespace):
    """A GPU that is busy for 90 per cent of the time and holds 1000 bytes."""

    NVMLError = NoAnswer

    def __init__(self) -> None:
        super().__init__(asked=threading.Event(), is_shut=False)

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        self.is_shut = True

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=1000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        self.asked.set()
        return SimpleNamespace(gpu=90)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.setattr(load, "SAMPLE_SECONDS", 0.001)
    return made


def test_samples_are_taken_and_begin_anew(driver: Driver) -> None:
    with LoadWatch() as watch:
        assert driver.asked.wait(10)
    samples = watch.take()
    assert {(s.busy_percent, s.used_bytes) for s in samples} == {(90, 1000)}
    assert sorted(s.seconds for s in samples) == [s.seconds for s in samples]
    assert driver.is_shut
    assert watch.take() == []


def test_a_part_of_a_gpu_tells_only_its_memory(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        driver.asked.set()
        raise NoAnswer

    monkeypatch.setattr(driver, "nvmlDeviceGetUtilizationRates", refuse)
    with LoadWatch() as watch:
        assert driver.asked.wait(10)
    assert summarize(watch.take()) == {"busy_percent": None, "used_bytes": 1000}


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_without_a_driver_there_are_no_samples(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise NoAnswer

    monkeypatch.setattr(driver, "nvmlInit", refuse)
    with LoadWatch() as watch:
        pass
    assert watch.take() == []
    assert summarize([]) == {"busy_percent": None, "used_bytes": None}


def test_the_mean_load_and_the_most_memory() -> None:
    samples = [Sample(0.1, 10, 5), Sample(0.2, None, 9), Sample(0.3, 40, 7)]
    assert summarize(samples) == {"busy_percent": 25, "used_bytes": 9}


ROW: dict[str, Any] = {
    "way": "ours",
    "steps": 20,
    "step_milliseconds": 12.345,
    "samples": to_json([Sample(0.5, 30, 1), Sample(1.0, None, 1), Sample(1.5, 80, 1)]),
}


def test_a_panel_shows_the_load_over_its_own_time() -> None:
    axis = Figure().subplots()
    _draw(axis, ROW)
    (line,) = axis.lines
    assert line.get_xydata().tolist() == [[0.5, 30], [1.5, 80]]
    assert axis.get_title(loc="left") == "ours: 20 steps, 12.3 ms each"
    assert not axis.texts


def test_a_panel_without_figures_says_so() -> None:
    axis = Figure().subplots()
    _draw(axis, {"way": "theirs", "error": "it failed"})
    assert [text.get_text() for text in axis.texts] == ["no figures"]


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    draw_loads([ROW, {"way": "theirs"}], tmp_path / "load.png")
    with Image.open(tmp_path / "load.png") as image:
        assert (image.format, image.width) == ("PNG", 880)
