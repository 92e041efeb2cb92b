"""Jobs for Beam's workers; imported by those, so kept light."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alexnet.pipeline.build.encode_job import EncodeJob, EncodeResult
from alexnet.pipeline.errors import ConfigError, DataError, ReadError
from alexnet.pipeline.source.scan import ImageFile

# Key of a photo, in the middle of its shard.
KILLING = "cat/10.jpg"


@dataclass(frozen=True)
class NotingJob:
    """Makes a file for each part, and one each time it is prepared and ended."""

    folder: Path

    @contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        number = len(list(self.folder.glob("opened *")))
        (self.folder / f"opened {number}").touch()
        yield lambda part: (self.folder / f"part {part}").touch()
        (self.folder / f"closed {number}").touch()


@dataclass(frozen=True)
class FailingJob:
    """Raises what its part names."""

    @contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        yield fail


def fail(part: str) -> None:
    """Raise an error of ours, one of the system's, or one in several lines."""
    if part == "read":
        raise ReadError("cat.jpg cannot be read: it is gone. Look after it.")
    if part == "data":
        try:
            raise ConfigError("not this one")
        except ConfigError as error:
            raise DataError("side is odd; give an even one") from error
    if part == "full":
        raise OSError(28, "No space left on device", "/shared/x")
    raise ValueError("first line\nlast line.")


def describe(part: str) -> dict[str, object]:
    """Return what JSON can hold of a part."""
    return {"length": len(part), "process": os.getpid()}


@dataclass(frozen=True)
class KillingJob(EncodeJob):
    """Kills a process once, at a photo: the build's, or the worker it decodes for."""

    moment: Path
    # None: the worker.
    victim: int | None

    def encode(self, file: ImageFile) -> EncodeResult:
        if file.key == KILLING and not self.moment.exists():
            self.moment.touch()
            os.kill(self.victim or os.getppid(), signal.SIGKILL)
        return super().encode(file)
