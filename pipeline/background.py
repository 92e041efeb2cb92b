"""Work in a thread of its own, whose end others look for without waiting long.

Python collects garbage in whichever thread allocates. A TensorFlow iterator that is
garbage waits there until calls of Python under way in it have returned: such a call
must not wait for long, nor for a lock, or it may wait for the thread that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")

# The longest that a garbage iterator keeps a thread waiting.
LOOK_SECONDS = 0.1


class Background(Thread, Generic[Result]):
    """An action that runs in the background from now on; none waits for it at exit."""

    def __init__(self, action: Callable[[], Result]) -> None:
        super().__init__(daemon=True)
        self._action = action
        self.start()

    def run(self) -> None:
        """Run the action, and let go of it."""
        self._error: BaseException | None = None
        try:
            self._result = self._action()
        except BaseException as error:  # it is another thread's, which asks for it
            self._error = error
        finally:
            del self._action

    def has_ended(self) -> bool:
        """Tell whether the action has ended, or ends within a moment."""
        self.join(LOOK_SECONDS)
        return not self.is_alive()

    def result(self) -> Result:
        """Return what the action returned, once it has ended.

        Raises:
            Exception: what it raised.
        """
        if self._error:
            raise self._error
        return self._result
