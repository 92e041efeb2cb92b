"""Photos that a source holds more than once, recognised by a digest of their pixels.

Every worker gives a digest beside a record; when the build ends, equal ones are
gathered into `duplicates.jsonl`. Nothing is moved or left out: people decide that.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from alexnet.pipeline.build.plan import BuildPlan
from alexnet.pipeline.records.image import DIGEST_BYTES
from alexnet.pipeline.remote.place import Place, put_text
from alexnet.pipeline.table import Table, sorted_rows

DUPLICATES = "duplicates.jsonl"


class Photo(NamedTuple):
    """A photo of a record set: its key, and the split and class it went to."""

    key: str
    split: str
    class_name: str


def planned_photos(plan: BuildPlan, set_aside: Container[str]) -> Iterator[Photo]:
    """Yield the photos of a plan in its order, but those whose keys were set aside."""
    for shard in plan.shards:
        for file in shard.files:
            if file.key not in set_aside:
                yield Photo(file.key, shard.split, plan.class_names[file.label])


class Duplicates(NamedTuple):
    """Photos with the same pixels, by key; the split and class of each, in order."""

    keys: tuple[str, ...]
    splits: tuple[str, ...]
    class_names: tuple[str, ...]


class Digests:
    """The digests of photos in the plan's order, on the disk."""

    def __init__(self) -> None:
        self._table = Table()

    def __len__(self) -> int:
        return len(self._table)

    def add(self, digests: bytes | bytearray) -> None:
        """Take in those of the next photos, one after another."""
        for start in range(0, len(digests), DIGEST_BYTES):
            digest = bytes(digests[start : start + DIGEST_BYTES])
            self._table.append((digest, len(self)))

    def repeated(self) -> dict[int, int]:
        """Return the places whose digests repeat; equal ones have the same number."""
        rows = sorted_rows(self._table.read(0, len(self)))
        groups = ([place for _, place in group] for _, group in groupby(rows, _first))
        repeated = (group for group in groups if len(group) > 1)
        return {place: n for n, group in enumerate(repeated) for place in group}


_first = itemgetter(0)


def find_duplicates(
    digests: Digests, photos: Iterable[Photo]
) -> tuple[Duplicates, ...]:
    """Return the groups of `photos` with equal digests, which are in the same order.

    In memory are only those that repeat.
    """
    numbers = digests.repeated()
    groups: dict[int, list[Photo]] = defaultdict(list)
    for place, photo in zip(range(len(digests)), photos, strict=True):
        if place in numbers:
            groups[numbers[place]].append(photo)
    members = (zip(*sorted(group), strict=True) for group in groups.values())
    return tuple(sorted(Duplicates(*columns) for columns in members))


def save_duplicates(out: Place, groups: Iterable[Duplicates]) -> None:
    """Write the duplicates that the build of `out` found, an object a line."""
    lines = "".join(json.dumps(group._asdict()) + "\n" for group in groups)
    put_text(out / DUPLICATES, lines)


def count_duplicates(groups: Sequence[Duplicates]) -> dict[str, int]:
    """Return the manifest's counts: of photos that repeat another, and of groups."""
    classes = [set(group.class_names) for group in groups]
    return {
        "duplicates": sum(len(group.keys) - 1 for group in groups),
        "duplicates_across_splits": sum(len(set(g.splits)) > 1 for g in groups),
        "duplicates_with_other_label": sum(len(names) > 1 for names in classes),
    }
