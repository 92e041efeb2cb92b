"""Batches that arrive in any order, and are handed out in the order of their numbers.

A thread receives them. A batch that later ones overtook some time ago counts as lost:
whoever makes it has died, or is slow. Then somebody else makes it, and it is dropped if
it arrives after all. A sender that has lost the job is asked for the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from typing import Any, TypeAlias

from alexnet.pipeline.errors import ReadError
from alexnet.pipeline.read.calls import CALLS

# A batch's number, then what it consists of.
Arrival: TypeAlias = "tuple[int, Any]"

# Batches to hold while the one that is wanted is among them.
READY = 8
# Seconds after which a batch that others have overtaken is lost.
LATE_SECONDS = 5.0
# Seconds without any batch after which the sender is gone.
SILENT_SECONDS = 60.0
# Before a sender is asked again.
AGAIN_SECONDS = 1.0


class JobLost(Exception):
    """The sender does not know any more what it was asked for."""


class BatchArrivals:
    """The batches from `first` up to `end` that have arrived from a sender."""

    def __init__(
        self,
        send: Callable[[int], Iterator[Arrival]],
        first: int,
        end: int,
        most: int,
        sender: str,
    ) -> None:
        """Begin to take what is sent.

        Args:
            send: sends the batches from a number on; raises JobLost to be asked again.
            most: later batches to hold at most before one that is missing is lost.
            sender: its name, for an error.
        """
        self._send, self._sender = send, sender
        self._wanted, self._end, self._most = first, end, most
        self._arrived: dict[int, Any] = {}
        self._last_arrival = time.monotonic()
        self._error: BaseException | None = None
        self._ended = self._closed = False
        self._changed = Condition()
        # A daemon: one that hangs does not keep the process from ending.
        self._thread = Thread(target=self._collect, name="arrivals", daemon=True)
        self._thread.start()

    def take(self, number: int) -> Any:
        """Return batch `number`, None if it is lost; earlier ones are wanted no more.

        Raises:
            ReadError: nothing has come for long, or Python is exiting.
        """
        asked = time.monotonic()
        with self._changed:
            self._wanted = number
            self._changed.notify_all()
            while number not in self._arrived:
                if self._error:
                    raise self._error
                if self._is_lost(time.monotonic() - asked):
                    self._wanted = number + 1
                    return None
                self._changed.wait(LATE_SECONDS / 10)
            self._wanted = number + 1
            self._changed.notify_all()
            return self._arrived.pop(number)

    def _is_lost(self, waited_seconds: float) -> bool:
        """Tell whether the wanted batch is lost.

        Raises:
            ReadError: no batch comes, or Python is exiting, which waits for this call.
        """
        if CALLS.is_leaving:
            raise ReadError(f"nothing more is taken from {self._sender}")
        if self._ended or len(self._arrived) >= self._most:
            return True
        silent_seconds = time.monotonic() - self._last_arrival
        if min(waited_seconds, silent_seconds) > SILENT_SECONDS:
            raise ReadError(
                f"{self._sender} has sent nothing for {SILENT_SECONDS:.0f} s. See"
                " whether it and its workers run (`alexnet data-service worker`), and"
                " whether this host reaches the addresses that they print."
            )
        overtaken = bool(self._arrived) or self._wanted == self._end - 1
        return overtaken and waited_seconds > LATE_SECONDS

    def close(self) -> None:
        """Take no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(1)

    def _collect(self) -> None:
        try:
            while not self._closed and self._loses_job():
                time.sleep(AGAIN_SECONDS)
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _loses_job(self) -> bool:
        """Receive batches from the wanted one on; tell whether the job was lost."""
        try:
            for number, batch in self._send(self._wanted):
                self._keep(number, batch)
                if self._closed:
                    break
        except JobLost:
            return True
        return False

    def _keep(self, number: int, batch: Any) -> None:
        """Hold a batch that is still wanted, and wait until there is room for more."""
        with self._changed:
            self._last_arrival = time.monotonic()
            if number >= self._wanted:
                self._arrived[number] = batch
                self._changed.notify_all()
            while not self._closed and self._has_enough():
                self._changed.wait()
                self._last_arrival = time.monotonic()

    def _has_enough(self) -> bool:
        room = READY if self._wanted in self._arrived else self._most
        return len(self._arrived) >= room
