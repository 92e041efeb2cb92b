"""An outage is a pause; a long one, or what never passes, is an error."""

from __future__ import annotations

import errno
import logging
import random
import time

import pytest

from alexnet.pipeline.errors import DataError, RemoteError
from alexnet.pipeline.remote import retry as module
from alexnet.pipeline.remote.retry import describe, may_pass, retry


class Failing:
    """An action that fails so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which take no time but are counted as if they did."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(waits))
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    return waits


def test_a_short_outage_is_a_pause(slept: list[float]) -> None:
    action = Failing(4, ConnectionError("gone"))
    assert retry(action, "s3://b") == "done"
    assert slept == [0.25, 0.5, 1, 2]


def test_it_is_told_of(slept: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        retry(Failing(6, ConnectionError("http://h/x?sig=5ec7et")), "s3://b/x")
    (message,) = caplog.messages
    assert message.startswith(
        "s3://b/x does not answer (ConnectionError); trying again"
    )
    assert "5ec7et" not in caplog.text


def test_a_long_one_is_an_error_that_says_how_to_go_on(slept: list[float]) -> None:
    with pytest.raises(
        RemoteError, match=r"s3://b has not answered for 6\d\d s \(Conn"
    ):
        retry(Failing(1000, ConnectionError("gone")), "s3://b")
    assert max(slept) == module.LONGEST_WAIT_SECONDS


class WebError(Exception):
    """As aiohttp's ClientResponseError."""

    def __init__(self, status: int) -> None:
        self.status = status


class CredentialsError(Exception):
    pass


CredentialsError.__name__ = "NoCredentialsError"


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionError(), True),
        (TimeoutError(), True),
        (OSError(errno.EIO, "x"), True),
        (OSError(errno.EBUSY, "slow down"), True),
        (RuntimeError("x"), True),
        (WebError(500), True),
        (WebError(429), True),
        (WebError(404), False),
        (WebError(403), False),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (OSError(errno.EINVAL, "x"), False),
        (OSError(errno.ENOSPC, "x"), False),
        (OSError("Forbidden: gs://b"), False),
        (CredentialsError(), False),
        (DataError("x"), False),
        (NotImplementedError(), False),
    ],
)
def test_what_may_pass(error: Exception, passes: bool, slept: list[float]) -> None:
    assert may_pass(error) is passes
    action = Failing(1, error)
    if passes:
        assert retry(action, "s3://b") == "done"
    else:
        with pytest.raises(type(error)):
            retry(action, "s3://b")
        assert action.calls == 1


def test_the_word_of_a_store_is_told() -> None:
    error, cause = OSError(22, "sig=5ec7et"), Exception()
    cause.response = {"Error": {"Code": "InvalidBucketName"}}  # type: ignore[attr-defined]
    error.__cause__ = cause
    assert describe(error) == "OSError InvalidBucketName"
    assert describe(WebError(503)) == "WebError 503"
