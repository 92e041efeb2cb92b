"""Calls that tf.data's threads make into Python, and that end before Python does.

At its end Python gives its lock to no other thread any more. A call that is under way
then never returns, and TensorFlow, which waits for it before it drops an iterator,
keeps the process from ending. So Python waits first: a pipeline makes a few batches
ahead, and is then at rest.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Sequence
from functools import wraps
from threading import Lock
from typing import Any

# Without a call, after which none is taken to be on its way.
REST_SECONDS = 0.2
# The longest that leaving is put off: for a batch of large photos.
MOST_SECONDS = 30.0


class Calls:
    """The calls into Python that are under way."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way, self._last_end = 0, -REST_SECONDS

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, whose calls are waited for."""

        @wraps(function)
        def call(*arguments: Any) -> Any:
            with self._lock:
                self._under_way += 1
            try:
                return function(*arguments)
            finally:
                with self._lock:
                    self._under_way -= 1
                    self._last_end = time.monotonic()

        return call

    def wait(self) -> None:
        """Wait until no call is under way, and none has been for a moment."""
        end = time.monotonic() + MOST_SECONDS
        while not self._are_at_rest() and time.monotonic() < end:
            time.sleep(REST_SECONDS / 10)

    def _are_at_rest(self) -> bool:
        with self._lock:
            rested = time.monotonic() - self._last_end >= REST_SECONDS
            return rested and not self._under_way


CALLS = Calls()
atexit.register(CALLS.wait)


def call_python(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    types: Any,
    *,
    is_stateful: bool = False,
) -> Any:
    """Return what a function of NumPy arrays returns, as tensors of these `types`.

    Args:
        is_stateful: TensorFlow may not leave a call out of which nothing is used.
    """
    import tensorflow as tf

    return tf.numpy_function(
        CALLS.counted(function), inputs, types, stateful=is_stateful
    )
