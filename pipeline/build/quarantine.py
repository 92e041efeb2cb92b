"""Image files that a build set aside: which, why, and how many there may be."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import write_text
from alexnet.pipeline.source.scan import Quarantined

QUARANTINE = "quarantine.jsonl"
# Called with the images done and the images in all.
Progress = Callable[[int, int], None]


def read_quarantine(out: Path) -> tuple[Quarantined, ...]:
    """The image files that the build of `out` set aside, sorted by key.

    None where the list is gone: the set is whole without it.

    Raises:
        DataError: the list is damaged.
    """
    try:
        lines = (out / QUARANTINE).read_text(encoding="utf-8").splitlines()
        return tuple(_from_line(line) for line in lines)
    except FileNotFoundError:
        return ()
    except (RecursionError, TypeError, ValueError) as error:
        raise DataError(
            f"{out / QUARANTINE} is damaged: {error}. Put it back, or empty it: it only"
            " lists what was set aside."
        ) from error


def _from_line(line: str) -> Quarantined:
    bad = Quarantined(**json.loads(line))
    if not isinstance(bad.key, str) or not isinstance(bad.reason, str):
        raise ValueError(f"no file and reason: {line}")
    return bad


def save_quarantine(out: Path, bad: Iterable[Quarantined]) -> None:
    """Write what the build of `out` set aside, an object a line."""
    lines = "".join(json.dumps(item._asdict()) + "\n" for item in bad)
    write_text(out / QUARANTINE, lines)


class Tally:
    """Images done and set aside so far, against how many may be."""

    def __init__(self, total: int, max_bad: float, progress: Progress):
        self.total, self.max_bad = total, max_bad
        self.done = 0
        self.bad: list[Quarantined] = []
        self.progress = progress

    @property
    def encoded(self) -> int:
        """The images done that have a record."""
        return self.done - len(self.bad)

    def add(self, bad: Quarantined | None) -> None:
        """Count one image.

        Raises:
            DataError: it is one bad image too many.
        """
        self.done += 1
        if bad is not None:
            self.bad.append(bad)
            self.require_few_bad()
        self.progress(self.done, self.total)

    def add_shard(self, num_files: int, bad: Collection[Quarantined]) -> None:
        """Count the images of a finished shard."""
        self.done += num_files
        self.bad += bad

    def require_few_bad(self) -> None:
        """Check that no more images are bad than may be.

        Raises:
            DataError: there are; the message names some of them.
        """
        allowed = max(1, int(self.max_bad * self.total)) if self.max_bad > 0 else 0
        if len(self.bad) > allowed:
            some = "; ".join(f"{bad.key!r}: {bad.reason}" for bad in self.bad[:5])
            raise DataError(
                f"{len(self.bad)} of the first {self.done} images cannot be used"
                f" ({some}); `max_bad={self.max_bad:g}` of {self.total} allows"
                f" {allowed}. Restore them or allow more, then run this again: finished"
                " shards are kept. Files that are edited or deleted make another source"
                " and need `overwrite=True`."
            )
