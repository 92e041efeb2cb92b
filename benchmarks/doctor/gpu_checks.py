"""The doctor's checks of the GPUs and of TensorFlow: which are used, or why not.

Pure functions of the facts that `gpus` reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alexnet.benchmarks.doctor.checks import Finding
from alexnet.benchmarks.doctor.gpus import Driver, Gpu, TensorFlow
from alexnet.pipeline.files import format_bytes
from alexnet.pipeline.versions import FLOORS

# Room for all of TensorFlow's kernels; the driver's own default is 1 GiB or less.
PTX_CACHE_BYTES = 4 * 2**30


def judge_tensorflow(
    tensorflow: TensorFlow | str, flags: frozenset[str]
) -> Iterator[Finding]:
    """Check that TensorFlow starts, with addons, and uses the oneDNN of a CPU.

    `flags` are the CPU's, by Linux's names.
    """
    if isinstance(tensorflow, str):
        advice = (
            "Make a new environment with Python 3.10 to 3.13 and install there:"
            " `pip install -c constraints.txt -e .`"
        )
        yield Finding("TensorFlow starts", tensorflow, "problem", advice)
        return
    build = f"for CUDA {tensorflow.cuda}" if tensorflow.cuda else "without CUDA"
    yield Finding("TensorFlow starts", f"{tensorflow.version}, built {build}")
    if flags:
        yield _judge_onednn(tensorflow.uses_onednn)


def _judge_onednn(is_on: bool) -> Finding:
    if is_on:
        return Finding("oneDNN", "on")
    # The command has turned it on, unless the environment says otherwise.
    # Measured: 1.9 s of CPU time against 1.3, with AVX2 alone as with AVX-512.
    advice = (
        "A step on the CPU took 1.5 times as long without it: unset"
        " TF_ENABLE_ONEDNN_OPTS."
    )
    return Finding("oneDNN", "off", "note", advice)


def judge_gpus(
    num_devices: int,
    driver: Driver | str,
    tensorflow: TensorFlow | str,
    environ: Mapping[str, str],
) -> Iterator[Finding]:
    """Check the driver, its GPUs, and whether TensorFlow uses them.

    `num_devices` counts the GPUs on the machine's bus, with a driver or without.
    """
    if isinstance(driver, str):
        yield _judge_no_driver(num_devices, driver)
        return
    yield _judge_driver(driver, tensorflow)
    for number, gpu in enumerate(driver.gpus):
        yield _judge_gpu(f"GPU {number}", gpu, tensorflow, environ)
    if not isinstance(tensorflow, str):
        yield _judge_use(driver, tensorflow, environ)


def _judge_no_driver(num_devices: int, error: str) -> Finding:
    if not num_devices:
        return Finding("GPUs", "none: training runs on the CPU")
    return Finding(
        "GPUs",
        f"{num_devices}, whose driver does not answer: {error}",
        # A container sees all of its host's bus, and may be meant to use the CPU.
        "note",
        "Install NVIDIA's driver, 525 or newer; a container sees it when it is started"
        " with `docker run --gpus all`.",
    )


def _judge_driver(driver: Driver, tensorflow: TensorFlow | str) -> Finding:
    value = f"{driver.version}, for CUDA {driver.cuda[0]}.{driver.cuda[1]}"
    built = "" if isinstance(tensorflow, str) else tensorflow.cuda
    if not built or driver.cuda[0] >= _numbers(built)[0]:
        return Finding("GPU driver", value)
    # https://docs.nvidia.com/deploy/cuda-compatibility: 525.60.13 serves all of 12.
    advice = f"TensorFlow is built for CUDA {built}: install a driver of 525 or newer."
    return Finding("GPU driver", value, "problem", advice)


def _judge_gpu(
    name: str,
    gpu: Gpu,
    tensorflow: TensorFlow | str,
    environ: Mapping[str, str],
) -> Finding:
    major, minor = gpu.capability
    memory = format_bytes(gpu.memory_bytes)
    value = f"{gpu.name}, {memory}, compute capability {major}.{minor}"
    known = () if isinstance(tensorflow, str) else tensorflow.capabilities
    built = sorted(_capability(text) for text in known)
    if built and gpu.capability < built[0]:
        oldest = "{}.{}".format(*built[0])
        advice = f"This TensorFlow is built for {oldest} and newer: use another GPU."
        advice += _other_floor(gpu)
        return Finding(name, value, "problem", advice)
    # Machine code runs on later GPUs of the same major number.
    if not built or major <= built[-1][0] or _keeps_kernels(environ):
        return Finding(name, value)
    newest = "{}.{}".format(*built[-1])
    advice = (
        f"TensorFlow brings machine code up to {newest}, so the driver compiles the"
        " rest at the first start, for minutes. Set"
        f" CUDA_CACHE_MAXSIZE={PTX_CACHE_BYTES}, so that it keeps all of it"
    )
    if "CUDA_CACHE_PATH" not in environ:
        advice += (
            ", and where the home folder is not kept, CUDA_CACHE_PATH to a folder that"
            " is"
        )
    advice += "." + _other_floor(gpu)
    return Finding(name, value, "note", advice)


def _other_floor(gpu: Gpu) -> str:
    """Advise the Python whose TensorFlow has machine code for a GPU that lacks it."""
    for floor in FLOORS:
        if floor.serves(gpu.capability):
            return f" Python {floor.pythons} brings {floor.name}, which serves it."
    return ""


def _keeps_kernels(environ: Mapping[str, str]) -> bool:
    size = environ.get("CUDA_CACHE_MAXSIZE", "")
    return size.isdigit() and int(size) >= PTX_CACHE_BYTES


def _capability(text: str) -> tuple[int, int]:
    """Return (7, 5) for sm_75 or compute_75."""
    digits = text.rpartition("_")[2]
    return int(digits[:-1]), int(digits[-1])


def _judge_use(
    driver: Driver, tensorflow: TensorFlow, environ: Mapping[str, str]
) -> Finding:
    """Check how many of the GPUs TensorFlow uses, and what keeps it from the others."""
    name, value = "GPUs in use", f"{tensorflow.num_gpus} of {len(driver.gpus)}"
    if tensorflow.num_gpus == len(driver.gpus):
        return Finding(name, value)
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and tensorflow.num_gpus >= _num_visible(visible):
        advice = f"CUDA_VISIBLE_DEVICES={visible!r} hides the others: unset it."
        return Finding(name, value, "note", advice)
    return Finding(name, value, "problem", _why_unused(tensorflow))


def _num_visible(devices: str) -> int:
    """Count the GPUs in CUDA_VISIBLE_DEVICES: those before the first invalid one."""
    names = [name.strip() for name in devices.split(",")]
    ends = [place for place, name in enumerate(names) if name in ("", "-1")]
    return ends[0] if ends else len(names)


def _why_unused(tensorflow: TensorFlow) -> str:
    if not tensorflow.cuda:
        return (
            "This TensorFlow is built without CUDA: `pip uninstall tensorflow-cpu`,"
            " then `pip install 'alexnet[cuda]'`, on Linux and x86-64."
        )
    if tensorflow.missing_libraries:
        missing = ", ".join(tensorflow.missing_libraries)
        return f"{missing} cannot be loaded: `pip install 'alexnet[cuda]'`."
    return "TensorFlow's own messages say why: `alexnet summary -v`."


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
