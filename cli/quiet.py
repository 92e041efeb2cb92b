"""TensorFlow's import, without what it prints before it reads its log level."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

STDERR = 2


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
        if spec and spec.loader and os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "0":
            load = spec.loader.exec_module

            def load_quietly(module: ModuleType) -> None:
                with _discarded_stderr():
                    load(module)

            spec.loader.exec_module = load_quietly  # type: ignore[method-assign]
        return spec


@contextmanager
def _discarded_stderr() -> Iterator[None]:
    """Discard what the process writes to standard error in the block."""
    stderr = os.dup(STDERR)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), STDERR)
    try:
        yield
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
