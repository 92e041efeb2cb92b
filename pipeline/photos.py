"""Training straight from an image source, for those who build no records.

The same splits as a build would make, the same squares, decoded anew in every epoch:
only the first stages of the pipeline differ.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from pipeline.callback import fetch_outside, lease
from pipeline.config import BuildConfig
from pipeline.decoder import decode_images
from pipeline.errors import DataError
from pipeline.folder import ImageFile, Source, scan
from pipeline.manifest import Manifest, SplitCard
from pipeline.plan import BuildPlan, make_plan
from pipeline.reader import RecordSet, open_records
from pipeline.store import FolderStore, Store
from pipeline.unfinished import build_settings, is_set

WAY_OUT = (
    "Mend it, or make records of the images with `alexnet records build`, which sets"
    " such files aside."
)


@dataclass(frozen=True)
class PhotoSet(RecordSet):
    """An image source that is read as if it were a record set of originals."""

    store: Store
    files: dict[str, tuple[ImageFile, ...]]

    has_records: ClassVar[bool] = False

    def paths(self, split: str) -> list[str]:
        """No shards."""
        return []


def open_data(path: Path) -> RecordSet:
    """The record set at `path`, or the image source there.

    Raises:
        DataError: it is neither.
    """
    if is_set(path) or not path.exists():
        return open_records(path)
    try:
        return open_photos(path)
    except DataError as error:
        raise DataError(
            f"{path} is no record set (`alexnet records build` makes one), nor can"
            f" images in it be used: {error}"
        ) from error


def open_photos(path: Path, config: BuildConfig | None = None) -> PhotoSet:
    """The image source at `path`, split and cut as a build with `config` would.

    Raises:
        DataError: it is none, or it is not clear which class its images have.
    """
    config = config or BuildConfig(storage="original")
    source = scan(path)
    plan = make_plan(source.files, source.class_names, config)
    files: dict[str, tuple[ImageFile, ...]] = {
        split: _files(plan, split) for split in plan.splits
    }
    manifest = _manifest(source, files, config)
    return PhotoSet(path, manifest, source.store, files)


def _files(plan: BuildPlan, split: str) -> tuple[ImageFile, ...]:
    shards = [shard.files for shard in plan.shards if shard.split == split]
    return tuple(file for files in shards for file in files)


def _manifest(
    source: Source, files: dict[str, tuple[ImageFile, ...]], config: BuildConfig
) -> Manifest:
    def card(split: str) -> SplitCard:
        labels = [file.label for file in files[split]]
        counts = np.bincount(labels, minlength=len(source.class_names))
        return SplitCard((), tuple(counts.tolist()))

    return Manifest(
        config=config,
        class_names=source.class_names,
        splits={split: card(split) for split in files},
        quarantined=0,
        source_fingerprint=build_settings(source, config)["source_fingerprint"],
    )


class PhotoRows:
    """A split's image files, fetched by number."""

    stage, uses_all_cpus = "decode", True

    def __init__(self, photos: PhotoSet, split: str) -> None:
        photos.manifest.split(split)
        is_table = photos.folder.is_file() and isinstance(photos.store, FolderStore)
        self._folder = photos.folder.parent if is_table else photos.folder
        self._store = photos.store
        self._files = photos.files[split]
        self._config = photos.manifest.config

    def lend(self) -> tuple[tf.Tensor, ...]:
        """What keeps these rows alive."""
        return (lease(self),)

    def fetch(self, rows: tf.Tensor, *lent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A uint8 batch and int64 [batch] labels, of rows, int [batch]."""
        return fetch_outside(self._decode, rows, self._config, *lent)

    def _decode(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        files = [self._files[row] for row in rows]
        labels = np.array([file.label for file in files], np.int64)

        def read(place: int) -> bytes:
            try:
                return self._store.read(files[place].key)
            except OSError as error:
                reason = error.strerror or error
                raise DataError(f"{name(place)} cannot be read: {reason}") from error

        def name(place: int) -> str:
            # TensorFlow dies of an error whose text is not UTF-8.
            path = os.fsencode(self._folder / files[place].key)
            return path.decode("utf-8", "backslashreplace")

        try:
            return decode_images(len(rows), read, name, self._config), labels
        except DataError as error:
            raise DataError(f"{error}. {WAY_OUT}") from error
