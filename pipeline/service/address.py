"""Addresses of a tf.data service, and whether somebody answers there.

The service has no authentication, and TensorFlow opens its ports on all networks of a
machine, by whatever address it is reached: only a private network may see them.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

from alexnet.pipeline.errors import ConfigError, ReadError

T = TypeVar("T")

LOCALHOST, PORT = "localhost", 5050
# The one kind of connection that TensorFlow's wheels bring.
PROTOCOL = "grpc"
# For a dispatcher that was started at the same time; then for each try.
WAIT_SECONDS, CONNECT_SECONDS, RETRY_SECONDS = 20.0, 5.0, 0.2


@dataclass(frozen=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as tf.data takes it."""
        return f"{PROTOCOL}://{self}"

    def own_host(self) -> str:
        """The name by which this machine is reached from there.

        Raises:
            ReadError: nobody answers there.
        """
        try:
            return wait_for(self._connected_as, OSError)
        except OSError as error:
            raise self._silence(error) from error

    def _connected_as(self) -> str:
        place = (self.host, self.port)
        with socket.create_connection(place, CONNECT_SECONDS) as connection:
            name: str = connection.getsockname()[0]
        return LOCALHOST if ip_address(name).is_loopback else name

    def _silence(self, error: OSError) -> ReadError:
        return ReadError(
            f"no dispatcher of a data service at {self}: {error.strerror or error}"
            f" (tried for {WAIT_SECONDS:.0f} s). Start one there with `alexnet"
            f" data-service dispatcher --port {self.port}`, or mend the address."
        )

    def require_dispatcher(self) -> None:
        """Check that somebody answers.

        Raises:
            ReadError: nobody does.
        """
        self.own_host()


def wait_for(attempt: Callable[[], T], *errors: type[Exception]) -> T:
    """Return the result of `attempt`; try again for WAIT_SECONDS after `errors`."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return attempt()
        except errors:
            if time.monotonic() > end:
                raise
        time.sleep(RETRY_SECONDS)


def parse_address(text: str) -> Address:
    """The address in HOST:PORT.

    Raises:
        ConfigError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(
            f"data_service is {text!r}; it needs HOST:PORT of a dispatcher, such as"
            f" {LOCALHOST}:{PORT}"
        )
    return Address(host.strip("[]"), int(port))
