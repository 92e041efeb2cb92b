"""Photos that a source holds more than once, recognised by a digest of their pixels.

Every worker gives a digest beside a record; when the build ends, equal ones are
gathered into `duplicates.jsonl`. Nothing is moved or left out: people decide that.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from alexnet.pipeline.build.plan import BuildPlan
from alexnet.pipeline.remote.place import Place, put_text

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


def find_duplicates(digests: bytes, photos: Iterable[Photo]) -> tuple[Duplicates, ...]:
    """Return the groups of `photos` with equal digests, which are in the same order.

    A digest takes 8 bytes; only those that repeat get a list of photos.
    """
    numbers = array("Q", digests)
    repeated = {a for a, b in pairwise(sorted(numbers)) if a == b}
    groups: dict[int, list[Photo]] = defaultdict(list)
    for number, photo in zip(numbers, photos, strict=True):
        if number in repeated:
            groups[number].append(photo)
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
