"""The work of a build on one image file: read it, decode it, encode its record.

Worker processes and Beam's workers run it, on Pillow and without TensorFlow.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.records.encode import encode_record
from alexnet.pipeline.records.fixed_layout import Layout
from alexnet.pipeline.source.scan import ImageFile, Quarantined
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Store

# Parameters of glibc's malloc.h, and up to how many bytes freed memory is kept.
M_TRIM_THRESHOLD, KEPT_BYTES = -1, 2**26
M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES = -3, 2**25


class EncodeResult(NamedTuple):
    """The outcome of one image file: its record, or the reason why it has none.

    The digest is of the photo's pixels; width and height are the photo's own.
    """

    file: ImageFile
    record: bytes = b""
    digest: bytes = b""
    width: int = 0
    height: int = 0
    reason: str = ""

    @property
    def quarantined(self) -> Quarantined | None:
        """The entry of the quarantine list; None where there is a record."""
        if not self.reason:
            return None
        return Quarantined(self.file.key, self.reason, self.file.size_bytes)


@dataclass(frozen=True)
class EncodeJob:
    """Everything a process needs to encode the files of a source."""

    store: Store
    class_names: tuple[str, ...]
    config: BuildConfig
    layout: Layout | None

    def expect(self, files: Iterable[ImageFile]) -> None:
        """Begin to read files that are soon encoded, in this order."""
        self.store.expect(file.key for file in files)

    def encode(self, file: ImageFile) -> EncodeResult:
        """Return the file's record, or the reason why it has none.

        Raises:
            ReadError: the file cannot be read, for a reason that lies outside of it.
        """
        name, options = self.class_names[file.label], (self.config, self.layout)
        try:
            encoded = read_file(
                self.store,
                file,
                lambda data: encode_record(data, file.key, file.label, name, *options),
            )
        except BadImage as error:
            return EncodeResult(file, reason=str(error))
        return EncodeResult(file, *encoded)


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees.

    By default glibc returns it and asks for it anew with every photo; the page faults
    cost a worker a fifth of its time.
    """
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)
