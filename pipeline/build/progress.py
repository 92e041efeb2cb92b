"""The progress of a build: images done and set aside, and how many may be."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from alexnet.pipeline.build.encode_job import EncodeResult
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.source.scan import Quarantined

# Called with the images done and the images in all.
Progress = Callable[[int, int], None]


@dataclass
class BuildProgress:
    """Images done and set aside so far, of `total`."""

    total: int
    done: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def encoded(self) -> int:
        """The images done that have a record."""
        return self.done - len(self.quarantined)

    def add(self, result: EncodeResult) -> None:
        """Count one image."""
        self.add_shard(1, [result.quarantined] if result.quarantined else [])

    def add_shard(self, num_files: int, quarantined: Collection[Quarantined]) -> None:
        """Count the images of a finished shard."""
        self.done += num_files
        self.quarantined += quarantined


@dataclass(frozen=True)
class BadLimit:
    """The share of a build's images that may be set aside.

    A single one always may, unless the share is 0.
    """

    max_bad: float

    def require(self, progress: BuildProgress) -> None:
        """Check that no more images were set aside than may be.

        Raises:
            DataError: there are; the message names some of them.
        """
        allowed = int(self.max_bad * progress.total)
        allowed = max(1, allowed) if self.max_bad > 0 else 0
        bad = progress.quarantined
        if len(bad) > allowed:
            some = "; ".join(f"{item.key!r}: {item.reason}" for item in bad[:5])
            raise DataError(
                f"{len(bad)} of the first {progress.done} images cannot be used"
                f" ({some}); `max_bad={self.max_bad:g}` of {progress.total} allows"
                f" {allowed}. Restore them or allow more, then run this again: finished"
                " shards are kept. Files that are edited or deleted make another source"
                " and need `overwrite=True`."
            )
