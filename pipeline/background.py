"""Work in threads that nobody waits for when the process ends.

Python collects garbage in whichever thread allocates. A TensorFlow iterator that is
garbage waits there until calls of Python under way in it have returned: such a call
must not wait for long, nor for a lock, or it may wait for the thread that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import finalize

Item = TypeVar("Item")
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


Tasks: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]"


class BackgroundPool:
    """Threads that take one action after the other, `size` at a time.

    An executor of the standard library does all that it was given before the process
    ends, which takes a slow store for ever. What these have not begun is never done
    once the process ends, or the pool is dropped.
    """

    def __init__(self, size: int, name: str) -> None:
        self._tasks: Tasks = SimpleQueue()
        for _ in range(size):
            Thread(target=_work, args=(self._tasks,), name=name, daemon=True).start()
        finalize(self, _stop, self._tasks, size).atexit = False

    def submit(self, action: Callable[[], Result]) -> Future[Result]:
        """Have an action done; the future has what it returns or raises."""
        future = Future[Result]()
        self._tasks.put((future, action))
        return future

    def map(
        self, action: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Yield what the action makes of each item, in their order."""
        for future in [self.submit(partial(action, item)) for item in items]:
            yield future.result()


def _work(tasks: Tasks) -> None:
    while task := tasks.get():
        future, action = task
        try:
            future.set_result(action())
        except BaseException as error:  # it is another thread's, which asks for it
            future.set_exception(error)
        del task, future, action  # while the next one is awaited


def _stop(tasks: Tasks, size: int) -> None:
    try:
        while True:
            tasks.get_nowait()
    except Empty:
        for _ in range(size):
            tasks.put(None)
