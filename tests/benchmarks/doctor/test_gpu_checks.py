"""Why a GPU is not used, on made-up machines where the reason is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.benchmarks.doctor.checks import Finding
from alexnet.benchmarks.doctor.gpu_checks import judge_gpus, judge_tensorflow
from alexnet.benchmarks.doctor.gpus import Driver, Gpu, TensorFlow

A100 = Gpu("NVIDIA A100", 80 * 2**30, (8, 0))
H200 = Gpu("NVIDIA H200", 141 * 2**30, (9, 0))
DRIVER = Driver("550.54.15", (12, 4), (A100,))
SEES_ONE = TensorFlow(
    version="2.15.1",
    cuda="12.2",
    capabilities=("sm_50", "sm_60", "sm_70", "sm_75", "compute_80"),
    num_gpus=1,
    missing_libraries=(),
    uses_onednn=True,
)
SEES_NONE = replace(SEES_ONE, num_gpus=0)
X86 = frozenset(["avx2"])


def judged(
    devices: int = 1,
    driver: Driver | str = DRIVER,
    tensorflow: TensorFlow | str = SEES_ONE,
    environ: dict[str, str] | None = None,
) -> dict[str, Finding]:
    found = judge_gpus(devices, driver, tensorflow, environ or {})
    return {finding.name: finding for finding in found}


def with_gpus(*gpus: Gpu) -> Driver:
    return replace(DRIVER, gpus=gpus)


def test_a_gpu_in_use() -> None:
    found = judged()
    assert {name: one.value for name, one in found.items()} == {
        "GPU driver": "550.54.15, for CUDA 12.4",
        "GPU 0": "NVIDIA A100, 80.0 GiB, compute capability 8.0",
        "GPUs in use": "1 of 1",
    }
    assert {one.state for one in found.values()} == {"ok"}


def test_a_machine_without_gpus_is_well() -> None:
    (finding,) = judged(0, "NVML Shared Library Not Found").values()
    assert finding.state == "ok"
    assert "none" in finding.value


def test_a_gpu_without_its_driver() -> None:
    (finding,) = judged(2, "Driver Not Loaded").values()
    assert finding.state == "note"
    assert finding.value == "2, whose driver does not answer: Driver Not Loaded"
    assert "--gpus all" in finding.advice


def test_missing_libraries_are_named() -> None:
    blind = replace(SEES_NONE, missing_libraries=("libcudnn.so.8", "libcufft.so.11"))
    finding = judged(tensorflow=blind)["GPUs in use"]
    assert (finding.value, finding.state) == ("0 of 1", "problem")
    assert "libcudnn.so.8, libcufft.so.11" in finding.advice
    assert "pip install 'alexnet[cuda]'" in finding.advice


def test_a_build_without_cuda() -> None:
    finding = judged(tensorflow=replace(SEES_NONE, cuda="", capabilities=()))
    assert finding["GPUs in use"].state == "problem"
    assert "tensorflow-cpu" in finding["GPUs in use"].advice
    assert finding["GPU driver"].state == finding["GPU 0"].state == "ok"


def test_a_reason_that_nobody_knows() -> None:
    assert "-v" in judged(tensorflow=SEES_NONE)["GPUs in use"].advice


@pytest.mark.parametrize(
    ("visible", "seen", "state"),
    [
        ("", 0, "note"),
        ("-1", 0, "note"),
        ("0", 1, "note"),
        # CUDA stops at the first that is invalid.
        ("0,-1,1", 1, "note"),
        ("GPU-8932f937", 1, "note"),
        ("0,1", 2, "ok"),
        # Two are allowed and one is seen: the variable is not what is wrong.
        ("0,1", 1, "problem"),
        (None, 1, "problem"),
    ],
)
def test_hidden_gpus(visible: str | None, seen: int, state: str) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    tensorflow = replace(SEES_ONE, num_gpus=seen)
    finding = judged(2, with_gpus(A100, A100), tensorflow, environ)["GPUs in use"]
    assert (finding.value, finding.state) == (f"{seen} of 2", state)
    assert (f"CUDA_VISIBLE_DEVICES={visible!r}" in finding.advice) == (state == "note")


@pytest.mark.parametrize(
    ("cuda", "state"), [((11, 8), "problem"), ((12, 0), "ok"), ((13, 0), "ok")]
)
def test_a_driver_must_serve_the_builds_cuda(cuda: tuple[int, int], state: str) -> None:
    finding = judged(driver=replace(DRIVER, cuda=cuda))["GPU driver"]
    assert finding.state == state
    assert ("525" in finding.advice) == (state == "problem")


@pytest.mark.parametrize(
    ("capability", "environ", "state"),
    [
        ((3, 5), {}, "problem"),
        ((5, 0), {}, "ok"),
        # Machine code for 8.0 runs on every 8.x.
        ((8, 9), {}, "ok"),
        ((9, 0), {}, "note"),
        ((12, 0), {}, "note"),
        ((9, 0), {"CUDA_CACHE_MAXSIZE": "4294967296"}, "ok"),
        ((9, 0), {"CUDA_CACHE_MAXSIZE": "1073741824"}, "note"),
        ((9, 0), {"CUDA_CACHE_MAXSIZE": "much"}, "note"),
        ((9, 0), {"CUDA_CACHE_PATH": "/cache"}, "note"),
    ],
)
def test_what_the_driver_has_to_compile(
    capability: tuple[int, int], environ: dict[str, str], state: str
) -> None:
    gpu = replace(H200, capability=capability)
    finding = judged(driver=with_gpus(A100, gpu), environ=environ)["GPU 1"]
    assert finding.state == state
    asked = "CUDA_CACHE_MAXSIZE=4294967296" in finding.advice
    assert asked == (state == "note")
    where = "CUDA_CACHE_PATH to a folder" in finding.advice
    assert where == (asked and "CUDA_CACHE_PATH" not in environ)


def test_tensorflow_that_starts() -> None:
    start, onednn = judge_tensorflow(SEES_ONE, X86)
    assert (start.value, start.state) == ("2.15.1, built for CUDA 12.2", "ok")
    assert (onednn.value, onednn.state) == ("on", "ok")
    # Its oneDNN is for x86-64.
    assert len(list(judge_tensorflow(SEES_ONE, frozenset()))) == 1


def test_tensorflow_that_does_not_start() -> None:
    (finding,) = judge_tensorflow("ended by SIGILL", X86)
    assert (finding.value, finding.state) == ("ended by SIGILL", "problem")
    assert set(judged(tensorflow="ended by SIGILL")) == {"GPU driver", "GPU 0"}


def test_onednn_that_is_off() -> None:
    _, finding = judge_tensorflow(replace(SEES_ONE, uses_onednn=False), X86)
    assert (finding.value, finding.state) == ("off", "note")
    assert "unset TF_ENABLE_ONEDNN_OPTS" in finding.advice
