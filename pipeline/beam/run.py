"""Do the parts of a job on the workers of an Apache Beam runner.

The parts travel through Beam, and nothing comes back: what a worker makes lies where
all of them and this machine can read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from socket import gethostname
from threading import Event, Thread
from typing import Any, Protocol, TypeVar

import apache_beam as beam

from alexnet.pipeline import errors
from alexnet.pipeline.beam.options import parse_options
from alexnet.pipeline.errors import AlexnetError, BeamError, DataError, RemoteError

Part = TypeVar("Part")
Part_contra = TypeVar("Part_contra", contravariant=True)

# Beam puts this behind the message of an error.
WHILE_RUNNING = re.compile(r" \[while running .*")
# An error of ours in the traceback that a runner gives for an error.
OWN_ERROR = re.compile(r"\balexnet\.pipeline\.errors\.(\w+): (.*)")
# Between two looks for what the workers have finished.
LOOK_SECONDS = 1.0


class Job(Protocol[Part_contra]):
    """A job that a worker prepares once, and then does part by part."""

    def open(self) -> AbstractContextManager[Callable[[Part_contra], None]]:
        """Return the context in which a worker does parts, by calling its value."""


class _Work(beam.DoFn):
    """A job as Beam's workers get it."""

    def __init__(self, job: Job[Any]) -> None:
        self.job = job

    def setup(self) -> None:
        """Prepare the job, once for many parts."""
        self.opened = ExitStack()
        self.do = self.opened.enter_context(self.job.open())

    def process(self, part: Any) -> None:
        """Do a part."""
        self.do(part)

    def teardown(self) -> None:
        """Give back what the job has taken."""
        self.opened.close()


def run_on_beam(
    job: Job[Part],
    parts: Sequence[Part],
    options: Sequence[str],
    workers: int,
    look: Callable[[], None],
) -> None:
    """Have Beam's workers do the parts of a job.

    Args:
        options: a Beam pipeline's, such as "--runner=FlinkRunner"; without them
            `workers` threads of this process do the parts.
        look: is called now and then, and at the end: to see what is finished.

    Raises:
        ConfigError: there are no such options.
        AlexnetError: a worker has raised it.
        BeamError: Beam or a worker has failed otherwise.
    """
    all_options = parse_options(options, workers)
    with _watched(look):
        try:
            with beam.Pipeline(options=all_options) as pipeline:
                (
                    pipeline
                    | beam.Create(parts)  # Part
                    | beam.Reshuffle()  # Part, to whichever worker is free
                    | beam.ParDo(_Work(job))  # nothing
                )
        except Exception as error:  # a runner raises what it likes
            raise _told_by(error) from error


def require_seen(path: Path) -> None:
    """Check that this process, a worker's, sees a folder or a file.

    Raises:
        DataError: it does not.
    """
    if not path.exists():
        raise DataError(
            f"a worker on {gethostname()} sees no {path}. Photos and records must lie"
            " on a file system that all workers share, under one path, or at URLs."
        )


def _told_by(error: Exception) -> AlexnetError:
    """Return the error of a worker that a runner's error is, or tells."""
    text = WHILE_RUNNING.sub("", str(error).strip())
    if isinstance(error, AlexnetError):
        return type(error)(text)
    for name, message in reversed(OWN_ERROR.findall(text)):
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, AlexnetError):
            return kind(message)
    # Some runners put an error that Beam tells in an error of theirs.
    reason = text.rpartition("\n")[2].removeprefix("RuntimeError: ").rstrip(".")
    return BeamError(f"Apache Beam failed: {reason}.")


@contextmanager
def _watched(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` now and then during the block, and at its end."""
    ended = Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            with suppress(RemoteError):  # of a store; the last look tells of it
                look()

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        look()
