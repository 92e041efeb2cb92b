"""The claim of one build to the place that it writes to.

A folder is locked. A store knows no locks that go with a killed process, but it has one
latest version of a file: the build that wrote its token last has the claim, and an
earlier one finds that out before it writes again, and stops.
"""

from __future__ import annotations

import json
import platform
import secrets
from contextlib import suppress

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.remote.location import Location

OWNER = "owner.json"


class Claim:
    """The claim to a folder: its lock, which nobody can take away."""

    def take(self) -> None:
        """Make the place this build's."""

    def require(self) -> None:
        """Check that no other build has taken the place since.

        Raises:
            DataError: one has.
        """


class RemoteClaim(Claim):
    """The claim to a place in a store: the token in the file that names its owner."""

    def __init__(self, state: Location) -> None:
        self._owner, self._out = state / OWNER, state.parent
        self._token = secrets.token_hex(16)

    def take(self) -> None:
        """Make the place this build's; an earlier one stops."""
        owner = {"token": self._token, "host": platform.node()}
        self._owner.write_bytes(json.dumps(owner).encode())

    def require(self) -> None:
        """Check that no other build has taken the place since.

        Raises:
            DataError: one has.
        """
        owner = self._read()
        if owner.get("token") != self._token:
            raise DataError(
                f"another build, on {owner.get('host', 'some machine')}, has begun in"
                f" {self._out} and goes on with what there is, so this one has stopped."
                " Let one of them end, or choose another `out`."
            )

    def release(self) -> None:
        """Give the place back, if it is still this build's."""
        with suppress(OSError, DataError):
            if self._read().get("token") == self._token:
                self._owner.unlink()

    def _read(self) -> dict[str, str]:
        """Return what the owner wrote; nothing where that is gone or damaged."""
        with suppress(FileNotFoundError, ValueError):
            owner = json.loads(self._owner.read_bytes())
            return owner if isinstance(owner, dict) else {}
        return {}
