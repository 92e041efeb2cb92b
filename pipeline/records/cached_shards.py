"""The shards of a record set in a store, as a cache on this machine has them.

A set is known by its address, and its shards by the manifest that was there when it was
opened: the cache keeps both, and another manifest has another folder.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from alexnet.pipeline.files import count, format_bytes, write_json, write_text
from alexnet.pipeline.lock import in_turn
from alexnet.pipeline.records.arrivals import Arrivals
from alexnet.pipeline.records.interop import INDEX_FOLDER, index_name, shard_index
from alexnet.pipeline.records.manifest import MANIFEST, Manifest, Shard, load_manifest
from alexnet.pipeline.remote.cache import Cache
from alexnet.pipeline.remote.held import Held, hold_all, is_whole
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.retry import may_pass

# The file beside the folders of shards that says where they are from.
ORIGIN = "origin.json"

log = logging.getLogger("alexnet.remote")


@dataclass(frozen=True)
class CachedShards:
    """A record set's shards: where they come from, and the folder they come to."""

    location: Location
    cache: Cache
    folder: Path
    manifest: Manifest
    # Names of those that this process fetched, whose bytes it has therefore checked.
    fetched: set[str] = field(default_factory=set, compare=False)

    @property
    def num_bytes(self) -> int:
        """The size of all shards."""
        return sum(shard.num_bytes for shard in self.manifest.shards)

    @cached_property
    def fits(self) -> bool:
        """Whether the cache can hold all of the set; then it keeps all that comes."""
        return self.num_bytes <= self.cache.room_bytes

    @cached_property
    def _all_held(self) -> Held | None:
        """A lock that keeps the whole set here while this lives; None if too large."""
        return hold_all(self.folder) if self.fits else None

    def is_here(self, shard: Shard) -> bool:
        """Tell whether a shard is in the cache."""
        return is_whole(self.folder / shard.name, shard.num_bytes)

    def here(self) -> list[Shard]:
        """Return the shards that are in the cache."""
        return [shard for shard in self.manifest.shards if self.is_here(shard)]

    def hold(self, shard: Shard) -> Held:
        """Fetch a shard unless it is here, and keep it here while it is held.

        Raises:
            DataError: it is not in the store, or there is no room for it.
            RemoteError: the store fails for long, or its shard is another.
        """
        _ = self._all_held  # from the first one on

        def arrived() -> None:
            self.fetched.add(shard.name)
            if self.manifest.layout is None:
                (self.folder / INDEX_FOLDER).mkdir(exist_ok=True)
                index = shard_index(self.folder, shard)
                write_text(self.folder / index_name(shard.name), index)

        return self.cache.hold(
            self.location / shard.name,
            self.folder / shard.name,
            shard.num_bytes,
            shard.crc32c,
            arrived,
        )

    def bring(self, split: str, shards: Sequence[Shard]) -> None:
        """Fetch the shards of a split that are not here, if the cache takes the set.

        Raises:
            DataError: one is not in the store, or there is no room for it.
            RemoteError: the store fails for long, or its shard is another.
        """
        if not self._all_held or all(map(self.is_here, shards)):
            return
        log.warning(
            "fetching the %s split of %s first: %s, %s in all",
            *(split, self.location, count(len(shards), "shard")),
            format_bytes(sum(shard.num_bytes for shard in shards)),
        )
        arrivals = Arrivals(self.hold, shards)
        for shard in shards:
            arrivals.take(shard.name)
            arrivals.give_back(shard.name)


def find_shards(location: Location, cache: Cache) -> CachedShards:
    """Return the shards of the set at an address, as its store or the cache tells them.

    The cache's manifest serves only where the store does not answer.

    Raises:
        DataError: there is no finished record set.
        RemoteError: the store does not answer, and the cache does not know the set.
    """
    home = cache.home(location)
    known = _known(home)
    if known and not _answers(location / MANIFEST):
        log.warning("%s does not answer: reading what %s has of it", location, home)
        return CachedShards(location, cache, known, load_manifest(known))
    manifest = load_manifest(location)
    folder = home / manifest.fingerprint[:16]
    if known and known != folder:
        log.warning("%s holds another set than the cached one", location)
    if known != folder:
        _remember(location, folder, manifest)
    return CachedShards(location, cache, folder, manifest)


def origin_of(folder: Path) -> str | None:
    """Return the address that a cached set is from; None of any other folder."""
    return _origin(folder.parent).get("url")


def _known(home: Path) -> Path | None:
    """Return the folder of the set that an address was last known to hold."""
    name = _origin(home).get("folder")
    if isinstance(name, str) and (home / name / MANIFEST).is_file():
        return home / name
    return None


def _origin(home: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        values = json.loads((home / ORIGIN).read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return values
    return {}


def _answers(file: Location) -> bool:
    """Tell whether a store answers at once, be it with an error that will not pass."""
    try:
        file.file_system().info(file.path)
    except Exception as error:
        return not may_pass(error)
    return True


def _remember(location: Location, folder: Path, manifest: Manifest) -> None:
    with in_turn(folder.parent / ".lock"):
        folder.mkdir(parents=True, exist_ok=True)
        manifest.save(folder)
        origin = {"url": str(location), "folder": folder.name}
        write_json(folder.parent / ORIGIN, origin)
