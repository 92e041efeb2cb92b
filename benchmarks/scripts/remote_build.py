"""Speed of a build from and to a bucket, against the same build on the disk.

`python -m alexnet.benchmarks.scripts.remote_build photos/`. The bucket is moto's, on
this machine: the service takes its own share of the same CPUs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, socket
from statistics import median
from tempfile import TemporaryDirectory

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.scan import scan

START_SECONDS = 30


@contextmanager
def s3_service() -> Iterator[None]:
    """An S3 service in a process of its own; its address is in the environment."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        _await(port)
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "x"
        try:
            yield
        finally:
            process.kill()


def _await(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the service does not start")


def seconds_of(source: Place, out: Place, config: BuildConfig, workers: int) -> float:
    """The time from the scan to the manifest."""
    start = time.perf_counter()
    build(scan(source), out, config, workers=workers)
    return time.perf_counter() - start


def main() -> None:
    """Build in turn on the disk, into a bucket, and from one, and print the ratios."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=256)
    arguments = parser.parse_args()
    config = BuildConfig(side=arguments.side)
    times: dict[str, list[float]] = {}
    with s3_service(), TemporaryDirectory() as folder:
        bucket = Location("s3://bucket")
        bucket.file_system().mkdir("bucket")
        far = bucket / "photos"
        for file in scan(arguments.photos).files:
            data = (arguments.photos / file.key).read_bytes()
            (far / file.key).write_bytes(data)
        for number in range(arguments.rounds):
            ways: dict[str, tuple[Place, Place]] = {
                "disk to disk": (arguments.photos, Path(folder, f"{number}")),
                "disk to bucket": (arguments.photos, bucket / f"records-{number}"),
                "bucket to disk": (far, Path(folder, f"far-{number}")),
            }
            for name, (source, out) in ways.items():
                seconds = seconds_of(source, out, config, arguments.workers)
                times.setdefault(name, []).append(seconds)
    for name, each in times.items():
        pairs = zip(times["disk to disk"], each, strict=True)
        ratios = sorted(local / far for local, far in pairs)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"{name:<15}{median(each):6.1f} s  {median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
