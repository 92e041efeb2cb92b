"""Speed of a build from and to a bucket, against the same build on the disk.

`python -m alexnet.benchmarks.scripts.remote_build photos/`. The bucket is a folder that
rclone serves on this machine: the service takes its own share of the same CPUs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
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
KEY, SECRET = "AKIAEXAMPLEKEY", "an+example/secret"


@contextmanager
def s3_service(folder: Path) -> Iterator[None]:
    """An S3 service of a folder's folders; its address is in the environment."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3"]
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    words = [*command, *options, "--config", "", str(folder)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=quiet, stderr=quiet) as process:
        try:
            _await(port)
            os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
            os.environ["AWS_ACCESS_KEY_ID"] = KEY
            os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
            os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
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


def time_builds(arguments: Namespace, folder: Path) -> dict[str, list[float]]:
    """The seconds of each way's builds, one after the other in every round."""
    config, bucket = BuildConfig(side=arguments.side), Location("s3://bucket")
    times: dict[str, list[float]] = {}
    for number in range(arguments.rounds):
        ways: dict[str, tuple[Place, Place]] = {
            "disk to disk": (arguments.photos, folder / f"{number}"),
            "disk to bucket": (arguments.photos, bucket / f"records-{number}"),
            "bucket to disk": (bucket / "photos", folder / f"far-{number}"),
        }
        for name, (source, out) in ways.items():
            seconds = seconds_of(source, out, config, arguments.workers)
            times.setdefault(name, []).append(seconds)
    return times


def main() -> None:
    """Build in turn on the disk, into a bucket, and from one, and print the ratios."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=256)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        served = Path(folder, "served")
        shutil.copytree(arguments.photos, served / "bucket" / "photos")
        with s3_service(served):
            times = time_builds(arguments, Path(folder))
    for name, each in times.items():
        pairs = zip(times["disk to disk"], each, strict=True)
        ratios = sorted(local / far for local, far in pairs)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"{name:<15}{median(each):6.1f} s  {median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
