"""The monitor against a driver that is made up."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

import model.gpu
from model.gpu import GpuMonitor

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
    monkeypatch.setattr(model.gpu, "SAMPLE_SECONDS", 0.001)
    return made


def test_the_mean_load_and_the_highest_memory(driver: Driver) -> None:
    with GpuMonitor(2) as monitor:
        assert driver.asked.wait(10)
    assert monitor.take() == "GPU 80 %, 3.5 GiB"
    assert monitor.take() == ""
    assert driver.is_shut


def test_without_a_gpu_nobody_is_asked(driver: Driver) -> None:
    before = threading.active_count()
    with GpuMonitor(0) as monitor:
        assert threading.active_count() == before
    assert monitor.take() == ""
    assert not driver.asked.is_set()


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetUtilizationRates"])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_driver_that_does_not_answer_is_no_error(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    asked = threading.Event()

    def refuse(*_: Any) -> None:
        asked.set()
        raise NoAnswer

    monkeypatch.setattr(driver, call, refuse)
    with GpuMonitor(1) as monitor:
        assert asked.wait(10)
    assert monitor.take() == ""
