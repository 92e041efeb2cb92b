"""Try again what a store or a network fails to do: a short outage is a pause.

Waits double from try to try. What trying again cannot mend, such as a missing file or
missing rights, is raised at once.
"""

from __future__ import annotations

import errno
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from alexnet.pipeline.errors import AlexnetError, RemoteError

Result = TypeVar("Result")

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 20.0
# An outage that lasts longer ends the work, which can then be resumed.
PATIENCE_SECONDS = 600.0
# An outage is told of when it has lasted this long, and then as often.
TELL_SECONDS = 5.0
# Of the system, and of fsspec where a store says so; the last two are faults of a call.
LASTING = (
    *(FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError),
    *(NotADirectoryError, NotImplementedError, ImportError, AlexnetError),
    *(ValueError, TypeError),
)
# What s3fs makes of client errors (400, 405, 412, 416, 501, and of names too long).
LASTING_NUMBERS = {
    *(errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG, errno.EMSGSIZE),
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),
}
# Of botocore, which need not be installed.
LASTING_NAMES = {
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"),
    *("ParamValidationError", "TokenRetrievalError", "UnauthorizedSSOTokenError"),
}
# Client errors of HTTP that pass: time-out, too early, too many requests.
PASSING_STATUS = {408, 425, 429}

log = logging.getLogger("alexnet.remote")


def retry(action: Callable[[], Result], place: object) -> Result:
    """Return what `action` returns, after as many tries as it takes.

    Args:
        place: the address for messages, without credentials.

    Raises:
        RemoteError: it has failed for longer than `PATIENCE_SECONDS`.
        Exception: it failed in a way that does not pass.
    """
    outage: Outage | None = None
    while True:
        try:
            return action()
        except Exception as error:
            if not may_pass(error):
                raise
            outage = outage or Outage(place)
            outage.wait(error)


class Outage:
    """The time since a first failure, and the waits that grow within it."""

    def __init__(self, place: object) -> None:
        self.place = place
        self.start = self.told = time.monotonic()
        self.wait_seconds = FIRST_WAIT_SECONDS

    def wait(self, error: Exception) -> None:
        """Wait before the next try, and say so now and then.

        Raises:
            RemoteError: the outage has lasted too long.
        """
        now = time.monotonic()
        lasted = now - self.start
        if lasted > PATIENCE_SECONDS:
            raise RemoteError(
                f"{self.place} has not answered for {lasted:.0f} s ({describe(error)})."
                " When the store or the network is back, run the same command again to"
                " go on."
            ) from None
        if now - self.told > TELL_SECONDS:
            self.told = now
            log.warning(
                "%s does not answer (%s); trying again, for at most %.0f s more",
                *(self.place, describe(error), PATIENCE_SECONDS - lasted),
            )
        # Many processes that lost one store do not come back all at once.
        time.sleep(self.wait_seconds * random.uniform(0.5, 1))
        self.wait_seconds = min(2 * self.wait_seconds, LONGEST_WAIT_SECONDS)


def may_pass(error: Exception) -> bool:
    """Tell whether a failure may be gone when the same is tried again."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):
        # fsspec's of a web server, for whatever asking that has failed with.
        is_web = type(cause).__module__.startswith("aiohttp")
        return is_web and may_pass(cause)
    if isinstance(error, LASTING) or type(error).__name__ in LASTING_NAMES:
        return False
    if isinstance(error, OSError) and error.errno in LASTING_NUMBERS:
        return False
    if str(error).startswith("Forbidden"):  # gcsfs's OSError without a number
        return False
    status = _status(error)
    return not 400 <= status < 500 or status in PASSING_STATUS


def _status(error: Exception) -> int:
    """Return the status of an HTTP answer that aiohttp or gcsfs made an error of."""
    # aiohttp's errors have both, and warn of `code`.
    name = "status" if hasattr(error, "status") else "code"
    number = getattr(error, name, None)
    return number if isinstance(number, int) else 0


def describe(error: Exception) -> str:
    """Return an error's kind, and the store's word for it.

    Its text is left out: it may hold an address with a signature, or a key.
    """
    response = getattr(error.__cause__, "response", None)  # of botocore
    told = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return f"{type(error).__name__} {told or _status(error) or ''}".strip()
