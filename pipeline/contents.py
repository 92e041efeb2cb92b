"""What a shard comes to hold, counted while its records pass from workers to disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline.folder import ImageFile
from pipeline.quarantine import Quarantined, Tally
from pipeline.record import Encoded


@dataclass
class Contents:
    """Counts of the records seen so far, and the files that have none."""

    class_counts: Counter[int] = field(default_factory=Counter)
    aside: list[Quarantined] = field(default_factory=list)
    # Of the records' photos, one after another.
    digests: bytearray = field(default_factory=bytearray)
    # How many photos there are of each shorter side, pixels.
    shorter_sides: Counter[int] = field(default_factory=Counter)

    def add(self, label: int, encoded: Encoded) -> None:
        """Count one record."""
        self.class_counts[label] += 1
        self.digests += encoded.digest
        self.shorter_sides[min(encoded.width, encoded.height)] += 1


def kept_records(
    results: Iterable[tuple[ImageFile, Encoded | str]],
    contents: Contents,
    tally: Tally,
) -> Iterator[bytes]:
    """The records among `results`; other files are set aside, with their reason."""
    for file, result in results:
        if isinstance(result, str):
            bad = Quarantined(file.key, result, file.size_bytes)
            contents.aside.append(bad)
            tally.add(bad)
        else:
            tally.add(None)
            contents.add(file.label, result)
            yield result.record
