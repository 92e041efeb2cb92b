"""Training straight from an image source, for those who build no records.

The same splits as a build would make, the same squares, decoded anew in every epoch:
only the first stages of the pipeline differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from alexnet.pipeline.build.output import is_set
from alexnet.pipeline.build.plan import make_plan
from alexnet.pipeline.build.state import source_fingerprint
from alexnet.pipeline.config import READ, BuildConfig, ReadConfig, Reader
from alexnet.pipeline.errors import (
    BadImage,
    ConfigError,
    DataError,
    ReadError,
    RemoteError,
)
from alexnet.pipeline.read.callback import fetch_outside, lease
from alexnet.pipeline.read.choose import ReaderChoice
from alexnet.pipeline.read.decode import decode_images
from alexnet.pipeline.read.opened_records import open_records
from alexnet.pipeline.read.opened_set import OpenedSet
from alexnet.pipeline.read.photo_arrivals import PhotoArrivals
from alexnet.pipeline.records.manifest import MANIFEST, Manifest, SplitCard
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.source.scan import ImageFile, Source, scan
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Store

REPAIR_HINT = (
    "Mend it, or make records of the images with `alexnet records build`, which sets"
    " such files aside."
)


@dataclass(frozen=True)
class PhotoSet(OpenedSet):
    """An image source that is read as if it were a record set of originals."""

    # Only a name: photos are read from `source`.
    folder: Place  # type: ignore[assignment]
    manifest: Manifest
    source: Source = field()
    # Lists that are kept on the disk, not in memory.
    files: dict[str, Sequence[ImageFile]]

    kind: ClassVar[str] = "photos"

    def _choose_reader(self, asked: Reader) -> ReaderChoice:
        if asked != "auto":
            raise ConfigError(
                f"`reader={asked!r}` reads records, and {self.folder} holds images."
                " Leave it out, or make records with `alexnet records build`."
            )
        return ReaderChoice("photos", f"{self.folder} holds images, no records")

    def open_rows(self, split: str) -> PhotoRows:
        """The split's photos."""
        return PhotoRows(self, split)

    def labels(self, split: str) -> np.ndarray:
        """The class numbers of a split's examples, int64 [examples], in order."""
        return _labels(self.files[split])

    def keys(self, split: str, rows: Sequence[int] | None = None) -> list[str]:
        """The keys of examples of a split."""
        files = self.files[split]
        return [files[row].key for row in (range(len(files)) if rows is None else rows)]


def open_data(
    place: Place, config: BuildConfig | None = None, read: ReadConfig = READ
) -> OpenedSet:
    """Open the record set at `place`, or the image source there, as `open_photos` does.

    `read` says where the shards of a set at a URL are kept.

    Raises:
        DataError: it is neither.
        RemoteError: a store does not answer.
    """
    records = partial(
        open_records, place, cache=read.cache, cache_limit=read.cache_limit_bytes
    )
    if isinstance(place, Location):
        try:
            return records()  # first: a set that is in the cache needs no store
        except DataError as error:
            if isinstance(error, RemoteError):
                raise
    if is_set(place) or not place.exists():
        return records()
    try:
        return open_photos(place, config)
    except RemoteError:
        raise
    except DataError as error:
        if (place / MANIFEST).is_file():
            return records()  # which says what is wrong with it
        raise DataError(
            f"{place} is no record set (`alexnet records build` makes one), nor can"
            f" images in it be used: {error}"
        ) from error


def open_photos(
    path: str | Path | Location, config: BuildConfig | None = None
) -> PhotoSet:
    """Open the image source at `path`, split and cut as a build with `config` would.

    Photos at a URL are fetched anew in every epoch, some of a batch at a time.

    Raises:
        DataError: it is none, or it is not clear which class its images have.
    """
    path, config = as_place(path), config or BuildConfig(storage="original")
    source = scan(path)
    plan = make_plan(source.files, source.class_names, config)
    files: dict[str, Sequence[ImageFile]]
    files = {split: plan.files[split] for split in plan.splits}
    manifest = _manifest(source, files, config)
    return PhotoSet(path, manifest, source, files)


def _labels(files: Sequence[ImageFile]) -> np.ndarray:
    return np.fromiter((file.label for file in files), np.int64, len(files))


def _manifest(
    source: Source, files: Mapping[str, Sequence[ImageFile]], config: BuildConfig
) -> Manifest:
    def card(split: str) -> SplitCard:
        labels = _labels(files[split])
        counts = np.bincount(labels, minlength=len(source.class_names))
        return SplitCard((), tuple(counts.tolist()))

    return Manifest(
        config=config,
        class_names=source.class_names,
        splits={split: card(split) for split in files},
        quarantined=0,
        source_fingerprint=source_fingerprint(source),
    )


class PhotoRows:
    """A split's image files, fetched by number."""

    stage, uses_all_cpus, prepare = "decode", True, None

    def __init__(self, photos: PhotoSet, split: str) -> None:
        photos.manifest.split(split)
        self._store = photos.source.store
        self._files = photos.files[split]
        self._config = photos.manifest.config
        self._read = partial(_read, self._store, self._files)
        is_remote = self._store.is_remote
        self.arrivals = PhotoArrivals(self._read) if is_remote else None

    def lend(self) -> tuple[tf.Tensor, ...]:
        """Return the tensor that keeps these rows alive."""
        return (lease(self),)

    def fetch(self, rows: tf.Tensor, *lent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch and int64 [batch] labels, of rows, int [batch]."""
        return fetch_outside(self._decode, rows, self._config, *lent)

    def _decode(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        files = [self._files[row] for row in rows]
        labels = np.array([file.label for file in files], np.int64)
        here = self.arrivals.take(rows) if self.arrivals else {}

        def read(place: int) -> bytes:
            row = int(rows[place])
            return here[row] if self.arrivals else self._read(row)

        def name(place: int) -> str:
            return self._store.place(files[place].key)

        try:
            return decode_images(len(rows), read, name, self._config), labels
        except ReadError:
            raise
        except DataError as error:
            raise DataError(f"{error}. {REPAIR_HINT}") from error


def _read(store: Store, files: Sequence[ImageFile], row: int) -> bytes:
    try:
        return read_file(store, files[row], bytes)
    except BadImage as error:
        raise DataError(f"{store.place(files[row].key)} {error}") from error
