"""Clusters of processes on this machine: nothing of the tests' process is in them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
JOB_SERVER = "apache_beam.runners.portability.local_job_service_main"
WORKER_POOL = "apache_beam.runners.worker.worker_pool_main"
DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"
SECONDS_TO_START = 60


@dataclass(frozen=True)
class Cluster:
    """Options of a pipeline that runs there."""

    options: tuple[str, ...]
    # A worker that is killed is replaced, and does its part again.
    replaces_workers: bool


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that imports this tree, as do the workers that it starts."""
    # Some are started as `python`.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **more},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(250)


@contextmanager
def serving(*words: str, option: str) -> Iterator[int]:
    """A program that listens on a port, which `option` gives it."""
    port = free_port()
    with running(*words, f"{option}={port}") as process:
        wait_for(port, process)
        yield port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {port}")


@contextmanager
def portable() -> Iterator[Cluster]:
    """Beam's own job server, and a pool that starts a process for a worker.

    The job servers of Flink and Spark start workers in the same way.
    """
    with ExitStack() as servers:
        jobs = servers.enter_context(serving(JOB_SERVER, option="--port"))
        pool = servers.enter_context(serving(WORKER_POOL, option="--service_port"))
        options = (
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{jobs}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool}",
        )
        yield Cluster(options, replaces_workers=False)


@contextmanager
def dask(folder: Path) -> Iterator[Cluster]:
    """A scheduler of Dask and two workers, each in a process of its own."""
    distributed = pytest.importorskip("distributed")
    scheduler = "dask scheduler --host 127.0.0.1 --no-dashboard".split()
    worker = "dask worker --nworkers 2 --nthreads 1 --no-dashboard".split()
    with serving(*scheduler, option="--port") as port:
        address = f"127.0.0.1:{port}"
        with running(*worker, f"--local-directory={folder}", address):
            options = (
                f"--runner={DASK_RUNNER}",
                f"--dask_client_address={address}",
                "--dask_partition_size=1",
            )
            yield Cluster(options, replaces_workers=True)
            # The runner leaves them open, to try for ever to find the scheduler again.
            for client in [*distributed.Client._instances]:
                client.close()


@pytest.fixture(scope="session", params=["portable", "dask"])
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    if request.param == "portable":
        start = portable()
    else:
        start = dask(tmp_path_factory.mktemp("dask"))
    with start as found:
        yield found
