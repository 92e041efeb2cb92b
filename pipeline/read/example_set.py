"""Labelled images in splits, as the readers see them: records, or photos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from alexnet.pipeline.config import Decode, Reader
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.read.choose import ReaderChoice
from alexnet.pipeline.records.cached_shards import CachedShards
from alexnet.pipeline.records.manifest import Manifest
from alexnet.pipeline.records.storage import STORAGES, Storage
from alexnet.pipeline.remote.place import Place

if TYPE_CHECKING:
    import numpy as np

    from alexnet.pipeline.read.rows import Rows
    from alexnet.pipeline.records.arrivals import Arrivals
    from alexnet.pipeline.source.scan import Source


class ExampleSet(ABC):
    """The interface that record sets and sources of photos have in common."""

    folder: Path
    manifest: Manifest
    # A word for its contents, for messages.
    kind: ClassVar[str]
    # The source of photos that are read as they are.
    source: Source | None = None
    # The source of shards that are not on this machine.
    remote: CachedShards | None = None
    # The form that JPEGs are decoded to.
    decode: Decode = "rgb"

    @property
    def storage(self) -> Storage:
        """The form in which images are stored."""
        return STORAGES[self.manifest.config.storage]

    @property
    def place(self) -> Place:
        """The folder or the address of the examples."""
        return self.folder

    def paths(self, split: str) -> list[str]:
        """The shard files of a split, in order; none of photos."""
        return []

    def is_here(self, split: str) -> bool:
        """Tell whether a split can be read without a store."""
        return True

    def arrivals(self, split: str, paths: Sequence[str]) -> Arrivals | None:
        """Return the shards as they arrive for a reader; None where all are here."""
        return None

    def reader(self, asked: Reader = "auto") -> ReaderChoice:
        """The reader that was asked for, or the better one; chosen once.

        Raises:
            ConfigError: the set cannot be read in the way that was asked for.
        """
        if asked not in self._readers:
            self._readers[asked] = self._choose_reader(asked)
        return self._readers[asked]

    @cached_property
    def _readers(self) -> dict[Reader, ReaderChoice]:
        return {}

    @abstractmethod
    def _choose_reader(self, asked: Reader) -> ReaderChoice:
        """The reader, as `reader` returns it."""

    @abstractmethod
    def open_rows(self, split: str) -> Rows:
        """The split's rows.

        Raises:
            DataError: a shard is damaged or cannot be mapped.
        """

    @abstractmethod
    def labels(self, split: str) -> np.ndarray:
        """The class numbers of a split's examples, int64 [examples], in order.

        Raises:
            DataError: a record is damaged.
        """

    @abstractmethod
    def keys(self, split: str, rows: Sequence[int] | None = None) -> list[str]:
        """The keys of the image files that examples of a split were made of.

        Args:
            rows: their numbers in the split; by default all, in order.

        Raises:
            DataError: a record is damaged, or names no file.
        """

    def require_open(self) -> None:
        """Check that the set was not closed.

        Raises:
            DataError: it was.
        """
        if self._closed.is_set():
            raise DataError(f"{self.place} was closed; open it again to read it")

    @cached_property
    def _closed(self) -> Event:
        return Event()
