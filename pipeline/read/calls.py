"""Calls that tf.data's threads make into Python, and that end before Python does.

At its end Python gives its lock to no other thread any more. A call that is under way
then never returns, and TensorFlow, which waits for it before it drops an iterator,
keeps the process from ending. So Python waits first for the calls that are under way,
and answers others by the end of the data, which TensorFlow takes without a word: those
that look again and again for what a store sends would never be at rest.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from threading import Lock
from typing import Any

# Without a call, after which none is taken to be on its way.
REST_SECONDS = 0.2
# The longest that leaving is put off: for a batch of large photos.
MOST_SECONDS = 30.0


class Calls:
    """The calls into Python that are under way.

    `is_leaving` tells a call that waits for something to give it up.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way, self._last_end = 0, -REST_SECONDS
        self.is_leaving = False

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, whose calls are waited for.

        Once Python is leaving they raise StopIteration.
        """

        @wraps(function)
        def call(*arguments: Any) -> Any:
            with self._lock:
                if self.is_leaving:
                    raise StopIteration
                self._under_way += 1
            try:
                return function(*arguments)
            except Exception as error:
                if self.is_leaving:  # and nobody is there to hear of it
                    raise StopIteration from error
                raise
            finally:
                with self._lock:
                    self._under_way -= 1
                    self._last_end = time.monotonic()

        return call

    def wait(self) -> None:
        """Wait until no call is under way, and none has been for a moment.

        No other begins from now on.
        """
        with self._lock:
            self.is_leaving = True
        end = time.monotonic() + MOST_SECONDS
        while not self._are_at_rest() and time.monotonic() < end:
            time.sleep(REST_SECONDS / 10)

    def _are_at_rest(self) -> bool:
        with self._lock:
            rested = time.monotonic() - self._last_end >= REST_SECONDS
            return rested and not self._under_way

    def counted_steps(self, steps: Iterator[Any]) -> Iterator[Any]:
        """Return an iterator, of nothing that equals None, whose steps are calls."""
        return iter(self.counted(steps.__next__), None)


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
