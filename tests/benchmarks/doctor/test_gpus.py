"""What is asked of the bus, the driver and TensorFlow, where the answers are known."""

from __future__ import annotations

import ctypes.util
import json
import platform
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from alexnet.benchmarks.doctor import gpus
from alexnet.benchmarks.doctor.gpus import (
    CUDA_LIBRARIES,
    Driver,
    Gpu,
    TensorFlow,
    ask_driver,
    ask_tensorflow,
    count_nvidia_devices,
    read_answer,
)

GIB = 2**30
ANSWER = {
    "version": "2.15.1",
    "cuda": "12.2",
    "capabilities": ["sm_50", "compute_80"],
    "num_gpus": 1,
    "missing_libraries": [],
}


def test_nvidias_displays_on_the_bus_are_counted(tmp_path: Path) -> None:
    """A graphics card and a data centre GPU; not a card's sound, nor Intel's GPU."""
    devices = [
        ("0x10de", "0x030000"),
        ("0x10de", "0x030200"),
        ("0x10de", "0x040300"),
        ("0x8086", "0x030000"),
    ]
    for number, (vendor, kind) in enumerate(devices):
        folder = tmp_path / f"sys/bus/pci/devices/0000:00:0{number}.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
    assert count_nvidia_devices(tmp_path) == 2
    assert count_nvidia_devices(tmp_path / "gone") == 0


class NoAnswer(Exception):
    """What the made-up driver raises."""


def made_up_driver(**calls: Any) -> SimpleNamespace:
    return SimpleNamespace(
        NVMLError=NoAnswer,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlSystemGetDriverVersion=lambda: "550.54.15",
        nvmlSystemGetCudaDriverVersion=lambda: 12040,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: "NVIDIA H200",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=141 * GIB),
        nvmlDeviceGetCudaComputeCapability=lambda handle: [9, 0],
    )


def test_the_driver_tells_of_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", made_up_driver())
    gpu = Gpu("NVIDIA H200", 141 * GIB, (9, 0))
    assert ask_driver() == Driver("550.54.15", (12, 4), (gpu,))


def test_a_driver_that_does_not_answer_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise NoAnswer("Driver Not Loaded")

    driver = made_up_driver()
    driver.nvmlInit = fail
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    assert ask_driver() == "Driver Not Loaded"
    monkeypatch.setitem(sys.modules, "pynvml", None)  # its import fails
    assert "nvidia-ml-py" in str(ask_driver())


@pytest.mark.slow
def test_tensorflow_tells_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own what it tells in this one."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    found = ask_tensorflow()
    assert isinstance(found, TensorFlow)
    build = tf.sysconfig.get_build_info()
    assert found.version == tf.__version__
    assert found.cuda == build.get("cuda_version", "")
    assert list(found.capabilities) == build.get("cuda_compute_capabilities", [])
    assert found.num_gpus == len(tf.config.list_physical_devices("GPU"))
    assert found.uses_onednn == (platform.machine() == "x86_64")


def test_tensorflow_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "ANSWER_SECONDS", 0.01)
    assert "has not answered" in str(ask_tensorflow())


def test_answers() -> None:
    out = f"some notice\n{json.dumps(ANSWER)}\n"
    found = read_answer(0, out, "I: oneDNN custom operations are on. You may")
    assert found == TensorFlow("2.15.1", "12.2", ("sm_50", "compute_80"), 1, (), True)
    quiet = read_answer(0, out, "")
    assert isinstance(quiet, TensorFlow)
    assert not quiet.uses_onednn


def test_how_it_failed() -> None:
    log = "Traceback ...\nModuleNotFoundError: No module named 'tensorflow'\n"
    assert (
        read_answer(1, "", log) == "ModuleNotFoundError: No module named 'tensorflow'"
    )
    assert read_answer(3, "", "") == "exit code 3"
    assert "SIGILL" in str(read_answer(-4, "", ""))


def test_libraries_are_looked_for_in_nvidias_wheels(tmp_path: Path) -> None:
    """One of them is there, and is a library; another is there and is none."""
    library = ctypes.util.find_library("m")
    found = [Path(p) / str(library) for p in ("/lib/x86_64-linux-gnu", "/lib64")]
    source = next((path for path in found if path.exists()), None)
    if source is None:
        pytest.skip("no library to copy")
    wheels = tmp_path / "nvidia"
    for name in ("cudnn", "cuda_runtime"):
        (wheels / name / "lib").mkdir(parents=True)
    shutil.copy(source, wheels / "cudnn/lib/libcudnn.so.8")
    (wheels / "cuda_runtime/lib/libcudart.so.12").write_text("no library")
    missing = gpus._missing(tmp_path / "tensorflow/__init__.py", "8")
    assert "libcudnn.so.8" not in missing
    assert set(missing) <= set(CUDA_LIBRARIES)
    assert "libcudnn.so.9" in gpus._missing(tmp_path / "tensorflow/__init__.py", "9")
    assert ("libcudart.so.12" in missing) != gpus._loads("libcudart.so.12")
