"""`alexnet data-service` and `--data-service`: what is said, and what is refused."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from alexnet.pipeline.service import address
from tests.cli.conftest import SMALL, alexnet, alexnet_json, failure
from tests.pipeline.service.hosts import in_process_service


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dispatcher that is not there is not waited for."""
    monkeypatch.setattr(address, "WAIT_SECONDS", 0)


def test_the_group_says_who_may_reach_it() -> None:
    shown = " ".join(alexnet("data-service", "--help").out.split())
    assert "There is no authentication" in shown
    assert "open on every network of the machine" in shown


def test_a_worker_without_its_dispatcher_says_what_to_start() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        served = f"127.0.0.1:{nobody.getsockname()[1]}"
        message = failure("data-service", "worker", served)
    assert message.startswith(f"no dispatcher of a data service at {served}")
    assert "alexnet data-service dispatcher --port" in message


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        message = failure("data-service", "dispatcher", "--port", port)
    assert message.startswith(f"port is {port}, and cannot be had")
    assert "choose another --port" in message


def test_an_address_without_a_port_is_wrong(
    built: tuple[Path, dict[str, Any]], trained: tuple[Path, dict[str, Any]]
) -> None:
    for words in (("fit", built[0], *SMALL), ("evaluate", trained[0])):
        message = failure(*words, "--data-service", "trainer")
        assert message.startswith("data_service is 'trainer'; it needs HOST:PORT")


@pytest.mark.slow
def test_evaluate_through_a_service(trained: tuple[Path, dict[str, Any]]) -> None:
    """The figures are those without."""
    with in_process_service(workers=1) as served:
        ours = alexnet_json("evaluate", trained[0], "--data-service", served)
    assert ours == alexnet_json("evaluate", trained[0])


@pytest.mark.slow
def test_fit_through_a_service(
    built: tuple[Path, dict[str, Any]],
    trained: tuple[Path, dict[str, Any]],
    tmp_path: Path,
) -> None:
    """The figures are those of the run that was trained without."""
    run = tmp_path / "run"
    with in_process_service() as served:
        words = ("--run", run, "--epochs", 2, *SMALL, "--data-service", served)
        found = alexnet_json("fit", built[0], *words)
    assert found["train"] == trained[1]["train"]
    assert found["validation"] == trained[1]["validation"]
