"""Data services on loopback: of this process, and of real ones that may be killed."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# What a forked process shall find imported.
import alexnet.pipeline.service.servers  # noqa: F401
from alexnet.cli.main import main
from alexnet.pipeline.service.address import LOCALHOST, Address, parse_address

TIMEOUT_SECONDS = 200.0


@contextmanager
def in_process_service(workers: int = 2) -> Iterator[str]:
    """The address of a dispatcher in this process, with its workers."""
    from alexnet.pipeline.service.servers import start_dispatcher, start_worker

    dispatcher = start_dispatcher(0)
    servers = [start_worker(dispatcher.address, LOCALHOST) for _ in range(workers)]
    try:
        yield str(dispatcher.address)
    finally:
        _let_go()
        for server in (*servers, dispatcher):
            server.stop()


@dataclass(frozen=True)
class Host:
    """A process that runs `alexnet data-service ...`."""

    process: BaseProcess
    log: Path
    report: dict[str, Any]

    @property
    def address(self) -> Address:
        return parse_address(self.report["address"])

    def kill(self) -> None:
        """End it as the loss of its machine does."""
        self.process.kill()
        self.process.join()

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Ask it to end; its exit code."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)
        self.process.join(TIMEOUT_SECONDS)
        return self.process.exitcode


def _command(words: list[str], log: Path, folder: Path) -> None:
    os.chdir(folder)
    for stream, path in ((sys.stdout, log), (sys.stderr, log.with_suffix(".err"))):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(words))


class Hosts:
    """Hosts of a test, all gone at its end; logs are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._hosts = folder, list[Host]()

    def start(self, *words: object, folder: Path | None = None) -> Host:
        """Start a host, in a folder of its own where there is one, and hear of it."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.model.processes", __name__])
        log = self._folder / f"host-{len(self._hosts)}.json"
        line = ["data-service", *map(str, words), "--json"]
        process = context.Process(
            target=_command, args=(line, log, folder or self._folder), daemon=True
        )
        process.start()
        host = Host(process, log, _report(process, log))
        self._hosts.append(host)
        return host

    def dispatcher(self, *words: object) -> Host:
        """Start a dispatcher."""
        return self.start("dispatcher", *(words or ("--port", 0)))

    def worker(self, dispatcher: Host, folder: Path | None = None) -> Host:
        """Start a worker."""
        return self.start("worker", dispatcher.address, folder=folder)

    def close(self) -> None:
        _let_go()
        for host in reversed(self._hosts):
            host.kill()


def _let_go() -> None:
    """Delete iterators that are garbage while their service is there to hear of it.

    Afterwards it takes up to a minute, in whichever test Python collects its garbage.
    """
    gc.collect()


def _report(process: BaseProcess, log: Path) -> dict[str, Any]:
    end = time.monotonic() + TIMEOUT_SECONDS
    while process.is_alive() and time.monotonic() < end:
        if log.exists() and (text := log.read_text()).endswith("}\n"):
            report: dict[str, Any] = json.loads(text)
            return report
        time.sleep(0.02)
    errors = log.with_suffix(".err")
    raise AssertionError(errors.read_text() if errors.exists() else "it says nothing")
