"""The monitor against a driver that is made up."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from alexnet.model.training.gpu_monitor import GpuMonitor, Load, Sample, visible_gpus

GIB = 2**30


class NoAnswer(Exception):
    """What the made-up driver raises."""


class Driver(SimpleNamespace):
    """Two GPUs at 90 and 70 per cent, with 2 and 3.5 GiB in use."""

    NVMLError = NoAnswer

    def __init__(self) -> None:
        super().__init__(asked=threading.Event(), is_shut=False)

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        self.is_shut = True

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, name: str) -> int:
        return {"GPU-a": 0, "GPU-b": 1}[name]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=(90, 70)[handle])

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        if handle == 1:
            self.asked.set()
        return SimpleNamespace(used=(2 * GIB, 7 * GIB // 2)[handle])


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


def watch(num_gpus: int) -> GpuMonitor:
    return GpuMonitor(num_gpus, sample_seconds=0.001)


def test_a_sample_is_the_mean_load_and_the_highest_memory(driver: Driver) -> None:
    with watch(2) as monitor:
        assert driver.asked.wait(250)
    samples = monitor.take()
    assert {(s.busy_percent, s.used_bytes) for s in samples} == {(80, 7 * GIB // 2)}
    assert sorted(s.seconds for s in samples) == [s.seconds for s in samples]
    assert driver.is_shut
    assert monitor.take() == []


@pytest.mark.parametrize(
    ("visible", "num_gpus", "names"),
    [
        (None, 2, ["0", "1"]),
        ("", 1, ["0"]),
        ("3,1", 2, ["3", "1"]),
        ("2, 0, 1", 1, ["2"]),
        ("GPU-8932f937-d72c", 1, ["GPU-8932f937-d72c"]),
    ],
)
def test_the_gpus_that_are_watched_are_those_that_train(
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    num_gpus: int,
    names: list[str],
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus(num_gpus) == names


def test_a_gpu_is_watched_by_its_number_or_name(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    with watch(1) as monitor:
        assert driver.asked.wait(250)
    assert monitor.take()[0].busy_percent == 70


def test_without_a_gpu_nobody_is_asked(driver: Driver) -> None:
    before = set(threading.enumerate())
    with watch(0) as monitor:
        assert before.issuperset(threading.enumerate())
    assert monitor.take() == []
    assert not driver.asked.is_set()


def test_a_part_of_a_gpu_tells_only_its_memory(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        raise NoAnswer

    monkeypatch.setattr(driver, "nvmlDeviceGetUtilizationRates", refuse)
    with watch(2) as monitor:
        assert driver.asked.wait(250)
    assert Load.of(monitor.take()) == Load(None, 7 * GIB // 2)


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetMemoryInfo"])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_driver_that_does_not_answer_is_no_error(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    asked = threading.Event()

    def refuse(*_: Any) -> None:
        asked.set()
        raise NoAnswer

    monkeypatch.setattr(driver, call, refuse)
    with watch(1) as monitor:
        assert asked.wait(250)
    assert monitor.take() == []


@pytest.mark.parametrize(
    ("samples", "load", "told"),
    [
        ([], Load(None, None), ""),
        ([Sample(0.1, None, 3 * GIB)], Load(None, 3 * GIB), "GPU 3.0 GiB"),
        (
            [Sample(0.1, 10, GIB), Sample(0.2, None, 3 * GIB), Sample(0.3, 40, GIB)],
            Load(25, 3 * GIB),
            "GPU 25 %, 3.0 GiB",
        ),
    ],
)
def test_a_load_is_the_mean_and_the_most(
    samples: list[Sample], load: Load, told: str
) -> None:
    assert Load.of(samples) == load
    assert load.describe() == told
