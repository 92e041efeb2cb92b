"""The processes of a tf.data service: its dispatcher, and the workers that join it.

A dispatcher keeps a card that tells its version of TensorFlow, as the name of a field
of a dataset that nobody reads: graphs of one version need not run on another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from alexnet.pipeline.errors import ConfigError, ReadError
from alexnet.pipeline.service.address import LOCALHOST, PROTOCOL, Address, wait_for

CARD = "alexnet"
# Raised where there is none, or none yet.
NO_CARD = (ValueError, tf.errors.OpError)
# A trainer that went leaves its job behind; a worker that went is missed.
UNUSED_MILLISECONDS, CHECK_MILLISECONDS = 60_000, 10_000
MISSING_MILLISECONDS, HEARTBEAT_MILLISECONDS = 30_000, 2_000

service = tf.data.experimental.service


@dataclass(frozen=True)
class Server:
    """A running server, and where it is reached."""

    address: Address
    server: Any

    def stop(self) -> None:
        """Close the port; what was being made is lost."""
        self.server.stop()


def start_dispatcher(port: int) -> Server:
    """Start a dispatcher, open on all networks of this machine; port 0 is any free one.

    It keeps nothing: one that is started again is asked anew by trainers, from the
    batch on that is wanted.

    Raises:
        ConfigError: the port cannot be had.
    """
    config = service.DispatcherConfig(
        port=port,
        protocol=PROTOCOL,
        job_gc_check_interval_ms=CHECK_MILLISECONDS,
        job_gc_timeout_ms=UNUSED_MILLISECONDS,
        worker_timeout_ms=MISSING_MILLISECONDS,
    )
    server = _started(service.DispatchServer, config, port)
    address = Address(LOCALHOST, _port(server))
    card = tf.data.Dataset.from_tensors({tf.__version__: 0})
    service.register_dataset(address.url, card, dataset_id=CARD)
    return Server(address, server)


def start_worker(dispatcher: Address, host: str, port: int = 0) -> Server:
    """Start a worker of a dispatcher, which trainers reach as `host`.

    Its port, as the dispatcher's, is open on all networks of this machine.

    Raises:
        ConfigError: the port cannot be had.
        ReadError: there is no dispatcher, or it is of another version of TensorFlow.
    """
    require_same_version(dispatcher)
    config = service.WorkerConfig(
        dispatcher_address=str(dispatcher),
        worker_address=str(Address(host, 0)).removesuffix("0") + "%port%",
        port=port,
        protocol=PROTOCOL,
        heartbeat_interval_ms=HEARTBEAT_MILLISECONDS,
    )
    server = _started(service.WorkerServer, config, port)
    return Server(Address(host, _port(server)), server)


def _started(kind: Any, config: Any, port: int) -> Any:
    try:
        return kind(config)
    except (RuntimeError, tf.errors.OpError) as error:
        raise ConfigError(
            f"port is {port}, and cannot be had: {error}. Stop what listens there, or"
            " choose another `port`; 0 takes any that is free."
        ) from error


def _port(server: Any) -> int:
    return int(server._address.rpartition(":")[2])


def require_same_version(dispatcher: Address) -> None:
    """Check that the dispatcher's TensorFlow is this one.

    Raises:
        ReadError: it is not, or it is no dispatcher of alexnet's.
    """
    dispatcher.require_dispatcher()

    def read_card() -> Any:
        return service.from_dataset_id(
            service.ShardingPolicy.OFF, dispatcher.url, CARD
        ).element_spec

    try:
        (version,) = wait_for(read_card, *NO_CARD)
    except NO_CARD as error:
        raise ReadError(
            f"what answers at {dispatcher} is no dispatcher that `alexnet data-service"
            f" dispatcher` started ({error}). Mend the address."
        ) from error
    if version != tf.__version__:
        raise ReadError(
            f"the data service at {dispatcher} runs TensorFlow {version}, and this is"
            f" {tf.__version__}. Install one version on all of its hosts and here."
        )
