"""`alexnet` in processes forked from one that has TensorFlow imported.

The import takes longer than most of the command's jobs. A short script stands where the
command would: it hands over its words, folder, environment and streams, and ends as the
command does. What Python itself does at its exit is left out, as in every process that
multiprocessing forks.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path

from alexnet.cli.main import run

MESSAGE_BYTES = 2**20
CLIENT = f"""#!{sys.executable} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({{address!r}})
    message = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [message.encode()], [0, 1, 2])
    sys.exit(int(server.recv(16) or 1))
"""


@contextmanager
def warm_command() -> Iterator[str]:
    """The text of a script that does what `alexnet` does, while this lasts."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.model.processes", __name__])
    # An address is to be short, which pytest's own folders are not.
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "alexnet")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(address)
            listener.listen()
            server = context.Process(target=_serve, args=(listener,))
            server.start()
        try:
            yield CLIENT.format(address=address)
        finally:
            server.kill()
            server.join()


def _serve(listener: socket.socket) -> None:
    """Give every caller a process of its own, which sees to the command's."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while True:
        caller, _ = listener.accept()
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(caller)
            os._exit(0)
        caller.close()


def _answer(caller: socket.socket) -> None:
    """Run a caller's command, and tell how it ended; where the caller ends, end it."""
    message, files, _, _ = socket.recv_fds(caller, MESSAGE_BYTES, 3)
    words, folder, environment = json.loads(message)
    context = multiprocessing.get_context("fork")
    command = context.Process(
        target=_run, args=(words, folder, environment, files), name="alexnet"
    )
    command.start()
    for file in files:
        os.close(file)
    if caller in wait([caller, command.sentinel]):
        command.terminate()
    command.join()
    with suppress(BrokenPipeError):
        caller.send(str(command.exitcode).encode())


def _run(
    words: list[str], folder: str, environment: dict[str, str], files: list[int]
) -> None:
    for stream, file in enumerate(files):
        os.dup2(file, stream)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, "")
    sys.argv[:] = ["alexnet", *words]
    run()
