"""The GPUs: which the machine has, which the driver sees, which TensorFlow uses.

Facts without judgement, for `alexnet doctor`. TensorFlow is asked in a process of its
own: there it may miss a library, or end the process, and the doctor lives to tell.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Without any one of them, and cuDNN, TensorFlow registers no GPU; in an order in which
# each finds those it needs.
CUDA_LIBRARIES = (
    *("libcudart.so.12", "libcublasLt.so.12", "libcublas.so.12", "libcufft.so.11"),
    *("libcusparse.so.12", "libcusolver.so.11"),
)
NVIDIA_VENDOR, DISPLAY_CLASS = "0x10de", "0x03"
ONEDNN_IS_ON = "oneDNN custom operations are on"
ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver describes it."""

    name: str
    memory_bytes: int
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver, the newest CUDA it serves, and its GPUs."""

    version: str
    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True)
class TensorFlow:
    """TensorFlow as installed; a `cuda` of '' is a build without GPUs."""

    version: str
    cuda: str
    # Architectures its kernels are built for, such as sm_75; for newer GPUs the last is
    # compiled at first use.
    capabilities: tuple[str, ...]
    num_gpus: int
    missing_libraries: tuple[str, ...]
    uses_onednn: bool


def count_nvidia_devices(root: Path = Path("/")) -> int:
    """NVIDIA's GPUs on the machine's PCI bus, whether they have a driver or not."""
    found = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        with suppress(OSError):
            vendor = (device / "vendor").read_text().strip()
            kind = (device / "class").read_text()
            found += vendor == NVIDIA_VENDOR and kind.startswith(DISPLAY_CLASS)
    return found


def ask_driver() -> Driver | str:
    """The driver and its GPUs, or why it does not answer."""
    try:
        import pynvml
    except ImportError:
        return "nvidia-ml-py, which asks it, is not installed"
    try:
        pynvml.nvmlInit()
        cuda = pynvml.nvmlSystemGetCudaDriverVersion()
        found = Driver(
            str(pynvml.nvmlSystemGetDriverVersion()),
            (cuda // 1000, cuda % 1000 // 10),
            tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())),
        )
        pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return str(error)
    return found


def _gpu(index: int) -> Gpu:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        str(pynvml.nvmlDeviceGetName(handle)),
        int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
    )


def ask_tensorflow() -> TensorFlow | str:
    """Return what TensorFlow tells of itself, or why it cannot be used."""
    command = [sys.executable, "-c", f"import {__name__} as asked; asked.tell()"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            # The folder that this package is imported from.
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
            text=True,
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"it has not answered within {ANSWER_SECONDS:.0f} s"
    return read_answer(done.returncode, done.stdout, done.stderr)


def read_answer(code: int, out: str, log: str) -> TensorFlow | str:
    """Return the answer of a process that called `tell`, or why it gave none."""
    if code < 0:
        return f"its import is ended by {signal.Signals(-code).name}"
    if code > 0:
        return log.strip().splitlines()[-1] if log.strip() else f"exit code {code}"
    values = json.loads(out.splitlines()[-1])
    for name in ("capabilities", "missing_libraries"):
        values[name] = tuple(values[name])
    return TensorFlow(**values, uses_onednn=ONEDNN_IS_ON in log)


def tell() -> None:
    """Print what TensorFlow tells of itself, to be read by `read_answer`."""
    import tensorflow as tf

    import alexnet.pipeline.augment.resample  # noqa: F401  # imports what it needs

    build = tf.sysconfig.get_build_info()
    cuda = build.get("cuda_version", "") if build["is_cuda_build"] else ""
    cudnn = build.get("cudnn_version", "")
    answer = {
        "version": tf.__version__,
        "cuda": cuda,
        "capabilities": build.get("cuda_compute_capabilities", []),
        "num_gpus": len(tf.config.list_physical_devices("GPU")),
        "missing_libraries": _missing(Path(tf.__file__), cudnn) if cuda else [],
    }
    print(json.dumps(answer))


def _missing(tensorflow: Path, cudnn: str) -> list[str]:
    """The CUDA libraries that load neither from the system nor from NVIDIA's wheels."""
    wheels = tensorflow.parents[1] / "nvidia"
    return [
        name
        for name in (*CUDA_LIBRARIES, f"libcudnn.so.{cudnn}")
        if not any(map(_loads, [name, *map(str, wheels.glob(f"*/lib/{name}"))]))
    ]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
