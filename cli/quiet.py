"""TensorFlow's and XLA's starts, without what they print whatever the log level."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import IO, Any

STDERR = 2
# Abseil's lines of no more than information, and its note that it is not set up.
CHATTER = re.compile(rb"I\d{4} |WARNING: All log messages before absl::InitializeLog")


def import_tensorflow_quietly() -> None:
    """Discard what the process writes to standard error while it imports TensorFlow.

    From 2.20 on its libraries log as they are loaded, past Python's sys.stderr and
    whatever TF_CPP_MIN_LOG_LEVEL says; 0 is heeded here. A failing import still raises.
    """
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder:
    """Finds TensorFlow, once, as the other finders do, to be loaded without a word."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec and spec.loader and not _logs_everything():
            load = spec.loader.exec_module

            def load_quietly(module: ModuleType) -> None:
                with _discarded_stderr():
                    load(module)

            spec.loader.exec_module = load_quietly  # type: ignore[method-assign]
        return spec


def start_xla_quietly() -> None:
    """Start XLA without what it logs of itself, once, when it first compiles.

    Call it when the hardware is set up, as this initialises all devices. What else is
    written to standard error meanwhile is printed.
    """
    if _logs_everything():
        return
    import tensorflow as tf

    program = tf.function(lambda: tf.zeros([]) + 1, jit_compile=True, autograph=False)
    with TemporaryFile() as heard:
        try:
            with _stderr_to(heard):
                program()
        finally:
            heard.seek(0)
            for line in heard:
                if not CHATTER.match(line):
                    os.write(STDERR, line)


def _logs_everything() -> bool:
    return os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"


@contextmanager
def _discarded_stderr() -> Iterator[None]:
    """Discard what the process writes to standard error in the block."""
    with Path(os.devnull).open("wb") as nowhere, _stderr_to(nowhere):
        yield


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Write to a file what the process writes to standard error in the block."""
    stderr = os.dup(STDERR)
    os.dup2(file.fileno(), STDERR)
    try:
        yield
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
