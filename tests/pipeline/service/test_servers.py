"""Dispatchers that are being started, and ports that are taken."""

from __future__ import annotations

import socket
from threading import Timer

import pytest
import tensorflow as tf

from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.service.address import LOCALHOST, parse_address
from alexnet.pipeline.service.servers import (
    CARD,
    require_same_version,
    service,
    start_dispatcher,
    start_worker,
)


def test_a_dispatcher_that_has_no_card_yet_is_waited_for() -> None:
    server = service.DispatchServer()
    card = tf.data.Dataset.from_tensors({tf.__version__: 0})
    Timer(
        0.3, service.register_dataset, (server.target, card), {"dataset_id": CARD}
    ).start()
    require_same_version(parse_address(server.target.partition("://")[2]))
    server._stop()


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port is {port}, and cannot be had"):
            start_dispatcher(port)
        dispatcher = start_dispatcher(0)
        with pytest.raises(ConfigError, match=f"port is {port}, and cannot be had"):
            start_worker(dispatcher.address, LOCALHOST, port)
        dispatcher.stop()
