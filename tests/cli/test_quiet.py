"""TensorFlow's chatter as it is loaded, from a made-up TensorFlow that has some."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    (tmp_path / "tensorflow.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT))),
            "TF_CPP_MIN_LOG_LEVEL": level,
        },
        capture_output=True,
    )
    assert (done.stdout.decode(), done.stderr, done.returncode) == (out, err, 0)
