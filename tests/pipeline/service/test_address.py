"""Addresses of a data service, and dispatchers that are not there."""

from __future__ import annotations

import socket
from threading import Timer

import pytest

from alexnet.pipeline.errors import ConfigError, ReadError
from alexnet.pipeline.service import address
from alexnet.pipeline.service.address import parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:5050", "localhost", 5050),
        ("10.0.0.1:1", "10.0.0.1", 1),
        ("[2001:db8::1]:5050", "2001:db8::1", 5050),
        ("trainer.example:65535", "trainer.example", 65535),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    found = parse_address(text)
    assert (found.host, found.port, str(found)) == (host, port, text)
    assert found.url == f"grpc://{text}"


@pytest.mark.parametrize(
    "text", ["", "5050", "host", ":5050", "host:", "host:0", "host:65536", "grpc://h:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"it needs HOST:PORT of a dispatcher"):
        parse_address(text)


def test_a_dispatcher_that_is_not_there_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address, "WAIT_SECONDS", 0)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        nobody = parse_address(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ReadError) as error:
            nobody.require_dispatcher()
    assert str(error.value) == (
        f"no dispatcher of a data service at {nobody}: Connection refused (tried for"
        f" 0 s). Start one there with `alexnet data-service dispatcher --port"
        f" {nobody.port}`, or mend the address."
    )


def test_a_worker_is_known_by_the_address_that_the_dispatcher_sees() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert parse_address(f"127.0.0.1:{port}").own_host() == "localhost"


def test_a_dispatcher_that_is_being_started_is_waited_for() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        starting = parse_address(f"127.0.0.1:{late.getsockname()[1]}")
        Timer(0.3, late.listen).start()
        starting.require_dispatcher()
