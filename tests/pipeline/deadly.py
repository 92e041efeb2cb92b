"""Jobs that end the processes they are given to; imported by those, so kept light."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.source.scan import ImageFile
from alexnet.pipeline.source.stores import FolderStore

# Photos of a source.
CRASHING = ("cat.0.png", "dog.41.png")


class KeyStore(FolderStore):
    """Files that hold their own names."""

    def __init__(self) -> None:
        super().__init__(Path())

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        return key.encode()


class Unreadable(KeyStore):
    """What no process can be given."""

    def __reduce__(self) -> tuple[object, ...]:
        return unreadable, ()


def unreadable() -> NoReturn:
    raise ValueError("cannot be unpickled")


class DeadlyJob(EncodeJob):
    """Does what a file's key says."""

    def encode(self, file: ImageFile) -> EncodeResult:
        what, _, number = file.key.partition(" ")
        if what == "kill":
            os.kill(os.getpid(), int(number))
        if what == "exit":
            os._exit(int(number))
        if what == "raise":
            raise ArithmeticError(file.key)
        return EncodeResult(file, reason=f"seen {file.key}")


# Neighbours, so that they meet in a chunk.
UNLUCKY = ("cat/00.jpg", "cat/02.jpg", "dog/01.jpg")


@dataclass(frozen=True)
class UnluckyJob(EncodeJob):
    """Some photos' processes are killed when they are seen first."""

    moments: Path

    def encode(self, file: ImageFile) -> EncodeResult:
        moment = self.moments / file.key.replace("/", "-")
        if file.key in UNLUCKY and not moment.exists():
            moment.touch()
            os.kill(os.getpid(), 9)
        return super().encode(file)


class DeadlyPhotosJob(EncodeJob):
    """Two photos crash the library that reads them."""

    def encode(self, file: ImageFile) -> EncodeResult:
        if file.key in CRASHING:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().encode(file)


class HarmlessPhotosJob(EncodeJob):
    """The same two are but unreadable."""

    def encode(self, file: ImageFile) -> EncodeResult:
        if file.key in CRASHING:
            return EncodeResult(file, reason="unreadable")
        return super().encode(file)
