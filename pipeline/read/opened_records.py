"""A record set that is opened to be read: streamed, or mapped and fetched by row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from alexnet.pipeline.config import READ, Decode, Reader
from alexnet.pipeline.read.choose import ReaderChoice, choose_reader
from alexnet.pipeline.read.lookup import read_keys, read_labels
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.records.arrivals import Arrivals
from alexnet.pipeline.records.cached_shards import find_shards
from alexnet.pipeline.records.jpeg_planes import JPEG_PLANES
from alexnet.pipeline.records.manifest import load_manifest
from alexnet.pipeline.records.record_set import RecordSet, require_shards
from alexnet.pipeline.records.storage import Storage
from alexnet.pipeline.records.turbojpeg import load_turbojpeg
from alexnet.pipeline.remote.cache import open_cache
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import as_place

if TYPE_CHECKING:
    import numpy as np

    from alexnet.pipeline.read.rows import Rows


@dataclass(frozen=True)
class OpenedRecords(RecordSet, OpenedSet):
    """A finished record set that can be read."""

    kind: ClassVar[str] = "records"
    decode: Decode = "rgb"

    @property
    def storage(self) -> Storage:
        """The form of an image in its record, and in a batch."""
        return JPEG_PLANES if self.decode == "planes" else super().storage

    def decoded_as(self, decode: Decode) -> OpenedRecords:
        """Return the set with its JPEGs decoded to RGB, or to their own planes.

        Raises:
            ConfigError: there are no such planes, or libturbojpeg is not installed.
        """
        if decode == self.decode:
            return self
        stored = self.manifest.config
        if decode == "planes" and stored.storage == "jpeg" and stored.side % 2 == 0:
            load_turbojpeg()
        else:
            super().decoded_as(decode)
        return replace(self, decode=decode)

    def _choose_reader(self, asked: Reader) -> ReaderChoice:
        return choose_reader(self, asked)

    def open_rows(self, split: str) -> Rows:
        """The split's rows, as its storage is mapped.

        Raises:
            DataError: a shard is damaged or cannot be mapped.
        """
        from alexnet.pipeline.read.mapped import open_rows

        return open_rows(self, split)

    def arrivals(self, split: str, paths: Sequence[str]) -> Arrivals | None:
        """Return the shards as they arrive for a reader; None where all are here."""
        if self.remote is None:
            return None
        by_path = dict(zip(self.paths(split), self.shards(split), strict=True))
        return Arrivals(self.remote.hold, [by_path[path] for path in paths])

    def labels(self, split: str) -> np.ndarray:
        """The class numbers of a split's examples, int64 [examples], in order.

        Raises:
            DataError: a record is damaged.
        """
        self.bring(split)
        return read_labels(self, split)

    def keys(self, split: str, rows: Sequence[int] | None = None) -> list[str]:
        """The keys of the image files that examples of a split were made of.

        Raises:
            DataError: a record is damaged, or names no file.
        """
        if rows is None:
            self.bring(split)
        return read_keys(self, split, rows)


def open_records(
    place: str | os.PathLike[str] | Location,
    *,
    cache: str | os.PathLike[str] | None = None,
    cache_limit: int | None = None,
    decode: Decode = READ.decode,
) -> OpenedRecords:
    """Open the record set in a folder, every shard of it present at its full size.

    Of a set at a URL (s3://, gs://, https:// and what else fsspec opens) the manifest
    is read at once, and shards are fetched whole when they are needed: ahead of their
    reading, in its order, into a cache that all processes of a machine share.

    Args:
        cache: folder for the shards of a set at a URL; by default `alexnet` in the
            user's cache folder.
        cache_limit: the most bytes that shards may take there; what was used longest
            ago goes first. By default what the disk has free, but for a tenth of it.
        decode: `planes` has batches of `jpeg` records hold the JPEGs' own planes, laid
            out as those of `yuv420`, which augmentation turns into RGB.

    Raises:
        ConfigError: there are no such planes, or libturbojpeg is not installed.
        DataError: it is no record set, or a shard is missing or cut.
        RemoteError: the store does not answer.
    """
    place = as_place(place)
    if isinstance(place, Location):
        shards = find_shards(place, open_cache(cache, cache_limit))
        records = OpenedRecords(shards.folder, shards.manifest, shards)
        return records.decoded_as(decode)
    manifest = load_manifest(place)
    require_shards(place, manifest)
    return OpenedRecords(place, manifest).decoded_as(decode)
