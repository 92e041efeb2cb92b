"""A chunk of files for one worker process, and what becomes of it when that dies.

The files of a chunk are then tried one by one. A photo that crashes two processes is
set aside. One with which two are killed from outside, as for want of memory, ends the
build: that is no evidence against the photo.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.build.shared_memory import SharedMemory, SlotEntry
from alexnet.pipeline.errors import ReadError
from alexnet.pipeline.source.scan import ImageFile

# Files to encode, and the slot for their records.
Task: TypeAlias = "tuple[list[ImageFile], int | None]"

# What kills a process by chance, such as want of memory, seldom comes back at once.
DEATHS_OF_ONE_PHOTO = 2
# The system sends these to a process that does wrong; all others come from outside.
CRASH_SIGNALS = {
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGSYS, signal.SIGTRAP),
}
CRASHED = "its decoder crashed"


@dataclass(eq=False)
class Chunk:
    """Files for one process, the slot for their records, and the results so far."""

    files: list[ImageFile]
    slot: int
    entries: list[SlotEntry] = field(default_factory=list)
    # Ends the build, behind the entries.
    error: Exception | None = None
    # A process died of the chunk: its files are tried one by one, without the slot.
    isolated: bool = False
    deaths: int = 0

    @property
    def done(self) -> bool:
        """Tell whether nothing of the chunk is left to encode."""
        return self.error is not None or len(self.entries) == len(self.files)

    def task(self) -> Task:
        """Return what a process is to do next."""
        if not self.isolated:
            return self.files, self.slot
        start = len(self.entries)
        return self.files[start : start + 1], None

    def results(self, memory: SharedMemory) -> Iterator[EncodeResult]:
        """Yield the results of the files in order.

        Raises:
            Exception: what ended the encoding, when all results before it are yielded.
        """
        yield from memory.take(self.slot, self.entries)
        if self.error is not None:
            raise self.error

    def count_death(self, code: int | None) -> None:
        """Take in that a process died of the chunk, with an exit code.

        The photo that two processes die of, alone, is set aside if it crashed them.
        """
        if not self.isolated:
            self.isolated = True
            return
        self.deaths += 1
        if self.deaths < DEATHS_OF_ONE_PHOTO:
            return
        file, self.deaths = self.files[len(self.entries)], 0
        if code is None or code >= 0 or -code in CRASH_SIGNALS:
            reason = f"{CRASHED} ({describe_end(code)})"
            self.entries.append(SlotEntry(0, EncodeResult(file, reason=reason)))
            return
        memory = ", out of memory?" if -code == signal.SIGKILL else ""
        self.error = ReadError(
            f"{file.key}: {DEATHS_OF_ONE_PHOTO} processes were killed while they"
            f" decoded it ({describe_end(code)}{memory}). The file itself may be good,"
            " so it was not set aside. Give fewer `workers`, free memory, or take the"
            " file away."
        )


def describe_end(code: int | None) -> str:
    """Describe the end of a process by its exit code."""
    return f"exit status {code}" if code is None or code >= 0 else f"signal {-code}"
