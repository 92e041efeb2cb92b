"""A record set: its manifest, and shards that are there at their full size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.manifest import Manifest, Shard
from alexnet.pipeline.records.storage import STORAGES, Storage
from alexnet.pipeline.remote.place import Place


@dataclass(frozen=True)
class RecordSet:
    """A finished record set on disk."""

    folder: Path
    manifest: Manifest

    @property
    def storage(self) -> Storage:
        """How a record holds its image."""
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
    """What mends a damaged record set, as a sentence."""
    return f"Mend it with `alexnet records verify {folder} --repair --source SOURCE`."
