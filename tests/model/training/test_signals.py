"""Signals to stop, sent for real to this process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from alexnet.model.training.signals import SIGNALS, StopSignals, Terminated


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_noted_and_the_second_stops_at_once(number: int) -> None:
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with StopSignals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(one) for one in SIGNALS] == handlers


@pytest.mark.parametrize(
    ("received", "raised"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, Terminated),
        (None, Terminated),  # another worker received one
    ],
)
def test_what_a_signal_ends_with(
    received: int | None, raised: type[BaseException]
) -> None:
    signals = StopSignals()
    signals.received = received
    with pytest.raises(KeyboardInterrupt) as error:
        signals.stop()
    assert type(error.value) is raised


def test_the_exit_code_is_the_shells() -> None:
    assert Terminated.exit_code == 143


def test_handlers_come_back_after_an_error() -> None:
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(ValueError, match="oops"), StopSignals():
        raise ValueError("oops")
    assert [signal.getsignal(one) for one in SIGNALS] == handlers


def test_ctrl_c_that_is_ignored_stays_so() -> None:
    """A background job's Ctrl-C is meant for the job in front."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM


def test_in_another_thread_nothing_is_noted() -> None:
    found = []

    def train() -> None:
        with StopSignals() as signals:
            found.append((signals.received, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [(None, signal.getsignal(signal.SIGTERM))]
