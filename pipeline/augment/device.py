"""Places of augmentation's work: draws on the host, and XLA where that pays.

XLA makes one loop of many kernels, each of which takes a pass over memory of its own.
That is several times as fast on a CPU; on a GPU, where it has not been measured yet,
TensorFlow's own kernels stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import tensorflow as tf

# Draws are small, and TensorFlow reads seeds on the host: made there they are the same
# bits with any accelerator, launch no kernels and stop no GPU to copy a seed back.
HOST = "CPU:0"

_Function = TypeVar("_Function", bound=Callable[..., Any])


def pays() -> bool:
    """Return True where augmentation is to be compiled: without a visible GPU."""
    return not tf.config.get_visible_devices("GPU")


def compiled(function: _Function) -> _Function:
    """Compile a function of tensors and hashable settings, or return it as it is."""
    return _compile(function) if pays() else function


@cache
def _compile(function: Any) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)
