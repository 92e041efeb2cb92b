"""Addresses of a tf.data service: who may reach them, and whether somebody answers.

The service has no authentication. Between loopback addresses its connections are of a
kind that gRPC refuses to anybody who comes from another machine.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from ipaddress import ip_address

from alexnet.pipeline.errors import ConfigError, ReadError

LOCALHOST, PORT = "localhost", 5050
# For a dispatcher that was started at the same time; then for each try.
WAIT_SECONDS, CONNECT_SECONDS, RETRY_SECONDS = 20.0, 5.0, 0.2


@dataclass(frozen=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == LOCALHOST

    @property
    def protocol(self) -> str:
        """TensorFlow's name for the connections that are made there."""
        return "grpc+local" if self.is_loopback else "grpc"

    @property
    def url(self) -> str:
        """The address as tf.data takes it."""
        return f"{self.protocol}://{self}"

    def own_host(self) -> str:
        """The name by which this machine is reached from there.

        Raises:
            ReadError: nobody answers there.
        """
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._connected_as()
            except OSError as error:
                if time.monotonic() > end:
                    raise self._silence(error) from error
                time.sleep(RETRY_SECONDS)

    def _connected_as(self) -> str:
        place = (self.host, self.port)
        with socket.create_connection(place, CONNECT_SECONDS) as connection:
            name: str = connection.getsockname()[0]
        return LOCALHOST if self.is_loopback else name

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
    return Address(host, int(port))
