"""Photos that a source holds more than once, told by a digest of their pixels.

Every worker gives a digest beside a record; when the build ends, equal ones are
gathered into `duplicates.jsonl`. Nothing is moved or left out: people decide.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from alexnet.pipeline.build.plan import BuildPlan
from alexnet.pipeline.files import write_text

DUPLICATES = "duplicates.jsonl"


class Photo(NamedTuple):
    """A photo of a record set: where it comes from and where it went."""

    key: str
    split: str
    class_name: str


def planned_photos(plan: BuildPlan, set_aside: Container[str]) -> Iterator[Photo]:
    """The photos of a plan in its order, but for the keys that were set aside."""
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
    """The groups of `photos`, whose digests stand in the same order, with equal ones.

    A digest is kept as 8 bytes; only those that repeat come to have a list of photos.
    """
    numbers = array("Q", digests)
    repeated = {one for one, other in pairwise(sorted(numbers)) if one == other}
    groups: dict[int, list[Photo]] = defaultdict(list)
    for number, photo in zip(numbers, photos, strict=True):
        if number in repeated:
            groups[number].append(photo)
    members = (zip(*sorted(group), strict=True) for group in groups.values())
    return tuple(sorted(Duplicates(*columns) for columns in members))


def save_duplicates(out: Path, groups: Iterable[Duplicates]) -> None:
    """Write what the build of `out` found more than once, an object a line."""
    lines = "".join(json.dumps(group._asdict()) + "\n" for group in groups)
    write_text(out / DUPLICATES, lines)


class DuplicateCounts(NamedTuple):
    """How many photos repeat another, and how many groups do harm."""

    duplicates: int
    # Groups that lie in more than one split.
    duplicates_across_splits: int
    # Groups whose photos have different labels.
    duplicates_with_other_label: int


def count_duplicates(groups: Iterable[Duplicates]) -> DuplicateCounts:
    """What the manifest says of `groups`."""
    groups = list(groups)
    return DuplicateCounts(
        sum(len(group.keys) - 1 for group in groups),
        sum(len(set(group.splits)) > 1 for group in groups),
        sum(len(set(group.class_names)) > 1 for group in groups),
    )
