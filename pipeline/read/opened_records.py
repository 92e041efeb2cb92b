"""A record set that is opened to be read: streamed, or mapped and fetched by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from alexnet.pipeline.config import Reader
from alexnet.pipeline.read.choose import ReaderChoice, choose_reader
from alexnet.pipeline.read.lookup import read_keys, read_labels
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.records.manifest import load_manifest
from alexnet.pipeline.records.record_set import RecordSet, require_shards

if TYPE_CHECKING:
    import numpy as np

    from alexnet.pipeline.read.rows import Rows


@dataclass(frozen=True)
class OpenedRecords(RecordSet, OpenedSet):
    """A finished record set that can be read."""

    kind: ClassVar[str] = "records"

    def _choose_reader(self, asked: Reader) -> ReaderChoice:
        return choose_reader(self, asked)

    def open_rows(self, split: str) -> Rows:
        """The split's rows, as its storage is mapped.

        Raises:
            DataError: a shard is damaged or cannot be mapped.
        """
        from alexnet.pipeline.read.mapped import open_rows

        return open_rows(self, split)

    def labels(self, split: str) -> np.ndarray:
        """The class numbers of a split's examples, int64 [examples], in order.

        Raises:
            DataError: a record is damaged.
        """
        return read_labels(self, split)

    def keys(self, split: str, rows: Sequence[int] | None = None) -> list[str]:
        """The keys of the image files that examples of a split were made of.

        Raises:
            DataError: a record is damaged, or names no file.
        """
        return read_keys(self, split, rows)


def open_records(folder: str | Path) -> OpenedRecords:
    """Open the record set in `folder`, every shard of it present at its full size.

    Raises:
        DataError: it is no record set, or a shard is missing or cut.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    require_shards(folder, manifest)
    return OpenedRecords(folder, manifest)
