"""Processes that train, to be killed: forked from one that has TensorFlow imported.

That one has not used it, which is when a process may still be forked.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

# What a forked process shall find imported.
import alexnet.model.results.plots
import alexnet.model.training.training  # noqa: F401
from alexnet.cli.fit_messages import FitProgress
from alexnet.cli.main import main
from alexnet.model.training import pauses
from alexnet.model.training.loop import TrainingLoop
from alexnet.model.training.progress import Progress
from alexnet.model.training.run import RunFolder
from tests.model.runs import named_weights, step_of

TIMEOUT_SECONDS = 200.0


def cluster(workers: int) -> list[dict[str, str]]:
    """The environments of workers on this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    tasks = [{"type": "worker", "index": index} for index in range(workers)]
    configs = [{"cluster": {"worker": addresses}, "task": task} for task in tasks]
    return [{"TF_CONFIG": json.dumps(config)} for config in configs]


def _command(
    words: list[str],
    environment: dict[str, str],
    log: Path,
    pause_seconds: float,
    folder: Path | None,
) -> None:
    """Run a command line, what it prints in `log`, and exit with its code.

    The weights that this process has in the end are beside it.
    """
    if folder:
        os.chdir(folder)
    os.environ.update(environment)
    _keep_weights(log.with_suffix(".npz"))
    pauses.LOOK_SECONDS = 0.0  # after each step
    FitProgress.step = lambda *_: time.sleep(pause_seconds)  # type: ignore[method-assign]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())
    sys.exit(main(words))


def _keep_weights(path: Path) -> None:
    """Have a training save the weights that this very process ends with."""
    run = TrainingLoop.run

    def run_and_keep(self: TrainingLoop, progress: Progress) -> None:
        run(self, progress)
        state: dict[str, Any] = dict(named_weights(self.classifier.network))
        np.savez(path, **state)

    TrainingLoop.run = run_and_keep  # type: ignore[method-assign]


def start(
    words: list[str],
    log: Path,
    environment: dict[str, str] | None = None,
    pause_seconds: float = 0.0,
    folder: Path | None = None,
) -> BaseProcess:
    """A process that runs a command line of `alexnet`, with a pause after each step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    arguments = (words, environment or {}, log, pause_seconds, folder)
    process = context.Process(target=_command, args=arguments)
    process.start()
    return process


def call(
    function: Callable[..., None],
    *arguments: Any,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Call a module's function in a process of its own, which must end well."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=function, args=arguments)
    process.start()
    assert end(process, timeout_seconds) == 0, "see the process's own traceback"


def wait_for_step(run: RunFolder, step: int, process: BaseProcess) -> None:
    """Wait until a state with so many steps behind it is saved, or the process ends."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while process.is_alive() and step_of(run) < step and time.monotonic() < end:
        time.sleep(0.002)


def end(process: BaseProcess, timeout_seconds: float = TIMEOUT_SECONDS) -> int | None:
    """The exit code of a process; it is killed where it takes too long."""
    process.join(timeout_seconds)
    process.kill()
    process.join()
    return process.exitcode
