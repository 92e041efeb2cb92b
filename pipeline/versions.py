"""Versions of what figures and faults depend on, without importing any of it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

# The first is what pip installs by default; the other is the same without GPUs.
TENSORFLOWS = ("tensorflow", "tensorflow-cpu")
MISSING = "not installed"


def versions() -> dict[str, str]:
    """The versions of alexnet, Python, TensorFlow and NumPy, by name."""
    found = (installed(name) for name in TENSORFLOWS)
    return {
        "alexnet": installed("alexnet") or MISSING,
        "python": platform.python_version(),
        "tensorflow": next(filter(None, found), MISSING),
        "numpy": installed("numpy") or MISSING,
    }


def installed(name: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
