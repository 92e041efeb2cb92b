"""Versions of what figures and faults depend on, without importing any of it.

Two sets of them belong together, the floors that all else stands on; the Python chooses
between them, by the markers in pyproject.toml.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

# The first is what pip installs by default; the other is the same without GPUs.
TENSORFLOWS = ("tensorflow", "tensorflow-cpu")
MISSING = "not installed"


class Floor(NamedTuple):
    """The Pythons that choose it, what it is, and the GPUs it has machine code for."""

    pythons: str
    name: str
    oldest_capability: tuple[int, int]
    newest_capability: tuple[int, int]

    def serves(self, capability: tuple[int, int]) -> bool:
        """Tell whether a GPU of this compute capability needs no compilation."""
        oldest, newest = self.oldest_capability, self.newest_capability
        return capability >= oldest and capability[0] <= newest[0]


# The capabilities are those of the wheels on PyPI, by `tf.sysconfig.get_build_info()`.
FLOORS = (
    Floor("3.10 or 3.11", "TensorFlow 2.15 with addons", (5, 0), (8, 0)),
    Floor("3.12 or 3.13", "TensorFlow 2.20 or later with Keras 3", (6, 0), (9, 0)),
)
FLOOR = FLOORS[sys.version_info >= (3, 12)]


def versions() -> dict[str, str]:
    """Return the versions of alexnet, Python, TensorFlow, Keras and NumPy, by name."""
    found = (installed(name) for name in TENSORFLOWS)
    return {
        "alexnet": installed("alexnet") or MISSING,
        "python": platform.python_version(),
        "tensorflow": next(filter(None, found), MISSING),
        "keras": installed("keras") or MISSING,
        "numpy": installed("numpy") or MISSING,
    }


def installed(name: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
