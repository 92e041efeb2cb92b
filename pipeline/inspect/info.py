"""Facts about a record set, as `alexnet records info` prints them.

Nothing is read but the manifest and the quarantine list.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from alexnet.pipeline.build.quarantine import read_quarantine
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.manifest import Manifest, load_manifest
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place

if TYPE_CHECKING:
    from alexnet.pipeline.read.choose import ReaderChoice

# A largest class of more than so many times the smallest is worth a note.
EVEN_RATIO = 3
TOP_REASONS = 5


class BytesPerImage(NamedTuple):
    """Mean over all records, and over the shards with the smallest and largest ones."""

    mean: float
    min: float
    max: float


@dataclass(frozen=True)
class RecordsInfo:
    """A record set, its reader, and the reasons why images were set aside."""

    data: Place
    manifest: Manifest
    reader: ReaderChoice
    # The most frequent, without details.
    quarantine_reasons: dict[str, int]

    def class_shares(self, split: str) -> list[float]:
        """Return each class's share of a split's examples; zeros for an empty split."""
        card = self.manifest.splits[split]
        return [count / max(1, card.num_examples) for count in card.class_counts]

    @property
    def bytes_per_image(self) -> BytesPerImage | None:
        """The sizes of records; None where there are none."""
        held = [shard for shard in self.manifest.shards if shard.num_examples]
        if not held:
            return None
        each = [shard.num_bytes / shard.num_examples for shard in held]
        num_bytes = sum(shard.num_bytes for shard in held)
        num_examples = sum(shard.num_examples for shard in held)
        return BytesPerImage(num_bytes / num_examples, min(each), max(each))

    @property
    def imbalance(self) -> str | None:
        """A note where the largest class is much larger than the smallest."""
        columns = [card.class_counts for card in self.manifest.splits.values()]
        totals = [sum(row) for row in zip(*columns, strict=True)]
        ordered = sorted(zip(totals, self.manifest.class_names, strict=True))
        (least, rare), (most, common) = ordered[0], ordered[-1]
        if most <= EVEN_RATIO * least:
            return None
        return (
            f"class {common!r} has {most:,} images and {rare!r} {least:,}: look at the"
            " recall of every class (`alexnet evaluate`), not at accuracy alone"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's fields, and the others beside them."""
        values = self.manifest.to_json()
        for split, card in self.manifest.splits.items():
            values["splits"][split] |= {
                "num_examples": card.num_examples,
                "num_bytes": card.num_bytes,
                "class_shares": self.class_shares(split),
            }
        size = self.bytes_per_image
        return {
            "data": str(self.data),
            **values,
            "imbalance": self.imbalance,
            "bytes_per_image": size._asdict() if size else None,
            "quarantine_reasons": self.quarantine_reasons,
            "reader": {"name": self.reader.name, "reason": self.reader.reason},
        }


def records_info(data: Place) -> RecordsInfo:
    """Return the facts about the record set in `data`.

    Raises:
        DataError: it is no finished record set.
    """
    # Before TensorFlow, which the reader brings, takes its seconds.
    manifest = load_manifest(data)
    from alexnet.pipeline.read.opened_records import OpenedRecords, open_records

    if isinstance(data, Location):
        records = open_records(data)
    else:
        records = OpenedRecords(data, manifest)
    return RecordsInfo(data, records.manifest, records.reader(), _top_reasons(data))


def _top_reasons(data: Place) -> dict[str, int]:
    """Return the most frequent reasons for setting images aside, with their numbers."""
    with suppress(OSError, DataError):
        # Details in brackets, such as first bytes, are an image's own.
        reasons = [re.sub(r" \(.*\)", "", bad.reason) for bad in read_quarantine(data)]
        return dict(Counter(reasons).most_common(TOP_REASONS))
    return {}
