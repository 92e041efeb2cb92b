"""Being asked to stop: Ctrl-C and SIGTERM wait for a step's end, where state is saved.

Cloud machines send SIGTERM some seconds before they are taken away.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""

    # As shells have it: 128 and the signal's number.
    exit_code = 128 + signal.SIGTERM


class StopSignals:
    """While open, notes the first signal to stop; a second one stops at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        # Only the main thread may; others are not who a signal is sent to.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in SIGNALS
                # A shell's background job ignores Ctrl-C, which is meant for others.
                if signal.getsignal(number) != signal.SIG_IGN
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self.stop()
        self.received = number

    def stop(self) -> None:
        """End the training, as the signal asks.

        Raises:
            Terminated: it was SIGTERM, here or at another worker.
            KeyboardInterrupt: it was Ctrl-C.
        """
        raise KeyboardInterrupt if self.received == signal.SIGINT else Terminated
