"""An attempt: a function called in a process of its own.

The precision policy and TensorFlow's hold on a GPU's memory last as long as a process.
What ends one, such as memory that runs out, is written down and ends nothing else.
"""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# A first start compiles kernels for minutes; what takes longer than this hangs.
LIMIT_SECONDS = 900.0
# Of the log of an attempt that failed.
LOG_LINES = 20
# How TensorFlow, XLA, CUDA, cuDNN and C++ say that memory is full. Warnings of an
# allocator that goes on without are in other words.
OUT_OF_MEMORY = (
    "OOM when allocating",
    "Out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)


def attempt(
    function: str, settings: dict[str, Any], limit_seconds: float = LIMIT_SECONDS
) -> dict[str, Any]:
    """What the function `module:name` returns for the settings, or what `failure` does.

    Settings and answer travel as JSON.
    """
    with TemporaryDirectory(prefix="alexnet-attempt-") as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log"
        words = [function, json.dumps(settings), str(answer)]
        command = [sys.executable, "-m", __name__, *words]
        code = _run(command, log, limit_seconds)
        if code == 0:
            found: dict[str, Any] = json.loads(answer.read_text())
            return found
        return failure(code, log.read_text(errors="replace"))


def _run(command: list[str], log: Path, limit_seconds: float) -> int | None:
    """The exit code, or None where it was killed for taking too long."""
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                command, stdout=out, stderr=out, timeout=limit_seconds
            )
        except subprocess.TimeoutExpired:
            return None
    return done.returncode


def failure(code: int | None, log: str) -> dict[str, Any]:
    """Why there is no answer, whether memory was full, and the end of the log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    full = [line for line in lines if any(sign in line for sign in OUT_OF_MEMORY)]
    said = (full or lines or ["without a word"])[-1]
    if code is None:
        said = f"no answer in time; last: {said}"
    elif code < 0:
        said = f"ended by {signal.Signals(-code).name}; last: {said}"
    return {"error": said, "out_of_memory": bool(full), "log": lines[-LOG_LINES:]}


def answer(function: str, settings: str, path: str) -> None:
    """Call `module:name` here and write what it returns."""
    module, _, name = function.partition(":")
    found = getattr(importlib.import_module(module), name)(**json.loads(settings))
    Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    answer(*sys.argv[1:])
