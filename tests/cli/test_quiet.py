"""TensorFlow's chatter as it is loaded and first compiles: a made-up one's, and its."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL

ROOT = Path(__file__).parents[2]
CODE = """
import os, sys
from alexnet.cli.quiet import import_tensorflow_quietly
import_tensorflow_quietly()
try:
    import tensorflow
    assert tensorflow.x == 1
except ImportError as error:
    print(error)
os.write(2, b"heard")
"""


# Compiles a program that has several lines to say.
XLA = """
import os
from alexnet.cli.quiet import start_xla_quietly
start_xla_quietly()
os.write(2, b"heard")
"""
LOGGED = b"""\
WARNING: All log messages before absl::InitializeLog() are written to STDERR
I0000 00:00:1700000000.000001      17 service.cc:145] XLA service initialized
E0000 00:00:1700000000.000002      17 cuda.cc:12] no kernel image
Terminated by nobody
"""
# A line of Abseil's log, its note, or a warning of Python's part of TensorFlow.
OF_TENSORFLOW = re.compile(r"[IWEF]\d{4} |WARNING:")


def run(code: str, module: str, folder: Path, level: str) -> tuple[str, bytes, int]:
    """Run code whose TensorFlow is a module; what it prints, and its exit code."""
    (folder / "tensorflow.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT))),
            "TF_CPP_MIN_LOG_LEVEL": level,
        },
        capture_output=True,
    )
    return done.stdout.decode(), done.stderr, done.returncode


@pytest.mark.parametrize(
    ("level", "ends", "out", "err"),
    [
        ("3", "x = 1", "", b"heard"),
        ("0", "x = 1", "", b"I0000 loadedheard"),
        ("3", "raise ImportError('no AVX')", "no AVX\n", b"heard"),
    ],
)
def test_what_is_logged_while_it_is_loaded_is_not_seen(
    tmp_path: Path, level: str, ends: str, out: str, err: bytes
) -> None:
    module = f"import os\nos.write(2, b'I0000 loaded')\n{ends}\n"
    assert run(CODE, module, tmp_path, level) == (out, err, 0)


def test_errors_of_the_first_program_are_seen(tmp_path: Path) -> None:
    write = f"os.write(2, {LOGGED!r})"
    module = f"import os\ndef function(made, **_): return lambda: {write}\n"
    errors = b"".join(LOGGED.splitlines(keepends=True)[2:])
    assert run(XLA, module, tmp_path, "3") == ("", errors + b"heard", 0)
    assert run(XLA, module, tmp_path, "0") == ("", b"heard", 0)


@pytest.mark.slow
def test_fit_says_nothing_of_tensorflows(
    built: tuple[Path, object], tmp_path: Path
) -> None:
    words = ["fit", str(built[0]), "--run", str(tmp_path / "run"), "--epochs", "1"]
    command = [sys.executable, "-m", "alexnet", *words, *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    del environment["TF_CPP_MIN_LOG_LEVEL"]  # the command's own, as for a user
    done = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert [line for line in lines if OF_TENSORFLOW.match(line)] == []
    assert any(line.startswith("next: alexnet evaluate") for line in lines)
