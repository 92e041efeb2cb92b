"""The inspection of a shard: every byte of it, of its index, and every record's label.

A remote shard is fetched first. What is found is little, whatever the shard's size, and
has a JSON form: it may come from a worker elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet.pipeline.records.fixed_layout import Layout
from alexnet.pipeline.records.interop import INDEX_FOLDER, index_name, shard_index
from alexnet.pipeline.records.manifest import Shard
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.verify.checksums import file_checksum
from alexnet.pipeline.verify.copies import local_copy
from alexnet.pipeline.verify.damage import (
    BadRecord,
    bad_file,
    count_labels,
    find_damage,
)


@dataclass(frozen=True)
class Inspection:
    """The damage of a shard, and how many of each label are in a whole one."""

    bad: tuple[BadRecord, ...]
    # None of a damaged shard.
    label_counts: Counter[int | None] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold: counts as pairs, for a label is no text."""
        counts = self.label_counts
        return {
            "bad": [asdict(record) for record in self.bad],
            "label_counts": None if counts is None else [*counts.items()],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Inspection:
        """Return the inspection of which `to_json` has made `values`."""
        bad = tuple(BadRecord(**record) for record in values["bad"])
        counts = values["label_counts"]
        return cls(bad, None if counts is None else Counter(dict(counts)))


@dataclass(frozen=True)
class Inspector:
    """Everything that it takes to inspect shards of the record set at `place`."""

    place: Place
    # Of the storages whose shards can be mapped.
    layout: Layout | None
    num_classes: int

    def inspect(self, shard: Shard, count: Callable[[int], None]) -> Inspection:
        """Return what is found in a shard.

        Args:
            count: is called with the bytes of each piece that is read, or of a remote
                shard's that is fetched.

        Raises:
            RemoteError: a store fails for long.
        """
        try:
            with local_copy(self.place, shard, count) as folder:
                read = count if folder is self.place else _nothing
                return self._inspect_here(folder, shard, read)
        except FileNotFoundError:
            return Inspection((bad_file(shard.name, "is missing"),))
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return Inspection((bad_file(shard.name, reason),))

    def _inspect_here(
        self, folder: Path, shard: Shard, count: Callable[[int], None]
    ) -> Inspection:
        path = folder / shard.name
        checksum = file_checksum(path, count)
        if (checksum, path.stat().st_size) != (shard.crc32c, shard.num_bytes):
            return Inspection(tuple(find_damage(folder, shard, self.layout)))
        counts, bad = count_labels(folder, shard, self.num_classes)
        if counts.total() == shard.num_examples:  # else the manifest is wrong
            bad += _index_damage(folder, shard)
        return Inspection(tuple(bad), counts)


def _nothing(num_bytes: int) -> None:
    """Count no byte twice: those of a remote shard were counted as they arrived."""


def _index_damage(folder: Path, shard: Shard) -> list[BadRecord]:
    """Return the damage of a whole shard's index, which need not exist."""
    path = folder / index_name(shard.name)
    if not path.is_file() or path.read_bytes() == shard_index(folder, shard).encode():
        return []
    reason = (
        "does not fit its shard; delete it, or let `records verify --repair` write it"
    )
    return [bad_file(f"{INDEX_FOLDER}/{path.name}", reason)]
