"""S3 services on this machine: moto's, and rclone's, which keeps files in a folder."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from alexnet.pipeline.remote import file_system
from alexnet.pipeline.remote.location import Location

KEY, SECRET = "AKIAEXAMPLEKEY", "an+example/secret"
# Of all services, so that none has a bucket of another.
NUMBERS = count()


@dataclass(frozen=True)
class S3:
    """An S3 service that is reached over HTTP on loopback."""

    host: str
    port: int
    # Where its buckets are folders.
    folder: Path | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def make_bucket(self) -> Location:
        """A new, empty bucket."""
        import boto3

        name = f"bucket-{next(NUMBERS)}"
        boto3.client("s3").create_bucket(Bucket=name)
        return Location(f"s3://{name}")

    def make_marker(self, folder: Location) -> None:
        """Make an empty folder, which consoles mark by a name that no location has."""
        import boto3

        if self.folder:
            (self.folder / folder.path).mkdir(exist_ok=True)
            return
        bucket, _, key = folder.path.partition("/")
        boto3.client("s3").put_object(Bucket=bucket, Key=f"{key}/")


@contextmanager
def _moto() -> Iterator[S3]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield S3(*server.get_host_and_port())
    server.stop()


@contextmanager
def _rclone() -> Iterator[S3]:
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3"]
    options = ["--auth-key", f"{KEY},{SECRET}", "--addr", "127.0.0.1:0", "--config", ""]
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, *options, folder], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stderr
            told = process.stderr.readline()
            address = re.search(r"http://([\d.]+):(\d+)", told)
            assert address, told
            yield S3(address[1], int(address[2]), Path(folder))
        finally:
            process.kill()


SERVICES: dict[str, Callable[[], AbstractContextManager[S3]]] = {
    "moto": _moto,
    "rclone": _rclone,
}


@contextmanager
def serve_s3(name: str) -> Iterator[S3]:
    """A service whose address and credentials are in the environment meanwhile."""
    with SERVICES[name]() as service, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", service.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        file_system._opened.cache_clear()  # of a service before, at another address
        yield service
