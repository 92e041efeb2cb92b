"""A record set: its manifest, and shards that are there at their full size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.cached_shards import CachedShards, origin_of
from alexnet.pipeline.records.manifest import Manifest, Shard
from alexnet.pipeline.records.storage import STORAGES, Storage
from alexnet.pipeline.remote.place import Place


@dataclass(frozen=True)
class RecordSet:
    """A finished record set on disk, or in a store with some of it on disk."""

    folder: Path
    manifest: Manifest
    # Of a set in a store: `folder` is the cache's, and shards come there when needed.
    remote: CachedShards | None = None

    @property
    def place(self) -> Place:
        """The folder of the set, or its address."""
        return self.remote.location if self.remote else self.folder

    @property
    def storage(self) -> Storage:
        """The form in which a record holds its image."""
        return STORAGES[self.manifest.config.storage]

    @property
    def num_bytes(self) -> int:
        """The size of all shards."""
        return sum(shard.num_bytes for shard in self.manifest.shards)

    def shards(self, split: str) -> list[Shard]:
        """A split's shards, in order, but those whose files were all set aside."""
        return [s for s in self.manifest.split(split).shards if s.num_examples]

    def paths(self, split: str) -> list[str]:
        """The shard files of a split, in order."""
        return [str(self.folder / shard.name) for shard in self.shards(split)]

    def is_here(self, split: str) -> bool:
        """Tell whether all shards of a split are in the folder."""
        return self.remote is None or all(map(self.remote.is_here, self.shards(split)))

    def bring(self, split: str) -> None:
        """Have all shards of a split in the folder, unless the cache is too small.

        Raises:
            DataError: one cannot be had.
        """
        if self.remote:
            self.remote.bring(split, self.shards(split))

    def shards_here(self) -> list[Shard]:
        """Return the shards of all splits that are in the folder."""
        return self.remote.here() if self.remote else list(self.manifest.shards)

    @contextmanager
    def held(self, shard: Shard) -> Iterator[Path]:
        """Have a shard in the folder for the block, and yield its path.

        Raises:
            DataError: it cannot be had.
        """
        hold = self.remote.hold(shard) if self.remote else None
        try:
            yield self.folder / shard.name
        finally:
            if hold:
                hold.release()


def require_shards(folder: Path, manifest: Manifest) -> None:
    """Check that every shard is present at its full size.

    Raises:
        DataError: one is missing or cut.
    """
    for shard in manifest.shards:
        path = folder / shard.name
        size = path.stat().st_size if path.is_file() else None
        if size != shard.num_bytes:
            what = "is missing" if size is None else f"has {size} bytes"
            raise DataError(
                f"{path} {what}; {shard.num_bytes} bytes are expected."
                f" {repair_hint(folder)}"
            )


def repair_hint(folder: Place) -> str:
    """Return a sentence on how to mend a damaged record set."""
    if isinstance(folder, Path) and (url := origin_of(folder)):
        return f"Delete that file: it will be fetched from {url} again."
    return f"Mend it with `alexnet records verify {folder} --repair --source SOURCE`."
