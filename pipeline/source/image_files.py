"""The image files of a store, told by their names, else by their first bytes.

Record sets and runs of the project that lie there are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from alexnet.pipeline.errors import BadImage, ReadError
from alexnet.pipeline.pictures import OWN_PICTURE
from alexnet.pipeline.records.image_formats import (
    HEAD_BYTES,
    has_image_magic,
    has_image_suffix,
)
from alexnet.pipeline.records.manifest import MANIFEST
from alexnet.pipeline.source.label_csv import is_table
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.stores import Entry, Store, folder_of
from alexnet.pipeline.table import Rows, Table, sorted_rows

RECORD_SET, RUN, PICTURE = (
    "a record set",
    "a training run",
    "a picture drawn by alexnet",
)
MARK_BYTES = 256


class ListedFile(NamedTuple):
    """A file of a source: its key, its size, and whether it looks like an image."""

    key: str
    size_bytes: int
    is_image: bool


@dataclass(frozen=True)
class Listing:
    """The files of a source, sorted by key, on the disk."""

    files: Rows[ListedFile]
    # Those that have a table's ending.
    tables: list[str]
    # What is left out, each as 'name (reason)', sorted. Hidden files are in neither.
    left_out: list[str]

    def images(self) -> Iterator[str]:
        """Yield the keys of the files that look like images."""
        return (file.key for file in self.files if file.is_image)


def list_files(store: Store) -> Listing:
    """List a store without the project's own outputs.

    Raises:
        DataError: it is an archive that cannot be used, or there is no room for the
            list.
        OSError: a folder cannot be read.
        ReadError: a file without an image's ending cannot be read.
    """
    own, left_out = OwnFolders(), list[str]()
    entries = sorted_rows(own.watched(store.entries(left_out.append)))
    left_out += [f"{folder} ({what})" for folder, what in own.found().items()]
    files, tables = Table(), list[str]()
    inside, before = tuple(own.found()), None
    for row in entries:
        entry = Entry(*row)
        # Folders that change while they are listed may have a file come twice.
        if entry.key == before or entry.key.startswith(inside):
            continue
        before = entry.key
        files.append((*row, _looks_like_image(store, entry)))
        if is_table(entry.key):
            tables.append(entry.key)
    return Listing(Rows(files, ListedFile), tables, sorted(left_out))


def _looks_like_image(store: Store, entry: Entry) -> bool:
    if has_image_suffix(entry.key):
        return True
    try:
        return read_file(store, entry, has_image_magic, HEAD_BYTES)
    except BadImage:
        return False
    except ReadError as error:
        # What nothing calls a photo may be kept from this user, and is not missed.
        if isinstance(error.__cause__, PermissionError):
            return False
        raise


class OwnFolders:
    """The folders in which the project keeps its own, told by the keys of files.

    A record set has its manifest and shards, a run its settings and checkpoints. A
    source that is itself one of them is none of these folders.
    """

    def __init__(self) -> None:
        # Folders in which a file of each kind lies.
        self._manifests, self._shards = set[str](), set[str]()
        self._settings, self._checkpoints = set[str](), set[str]()

    def watched(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield all entries of a store, and take in what their keys tell."""
        for entry in entries:
            key, folder = entry.key, folder_of(entry.key)
            name = key[len(folder) :]
            if name == MANIFEST:
                self._manifests.add(folder)
            elif name == "config.json":
                self._settings.add(folder)
            elif name.endswith(".tfrecord"):
                self._shards.add(folder)
            if "checkpoints/" in folder:
                self._checkpoints.add(folder.partition("checkpoints/")[0])
            yield entry

    def found(self) -> dict[str, str]:
        """Return the folders, and what each is."""
        sets = self._manifests & self._shards - {""}
        runs = self._settings & self._checkpoints - {""}
        return {**dict.fromkeys(sets, RECORD_SET), **dict.fromkeys(runs, RUN)}


def is_own_picture(store: Store, key: str) -> bool:
    """Tell whether the project has drawn an image, such as `sheet.png`.

    Raises:
        ReadError: it cannot be read.
    """
    return key.endswith(".png") and _is_marked(store, key)


def _is_marked(store: Store, key: str) -> bool:
    try:
        return read_file(
            store, Entry(key, 1), lambda head: OWN_PICTURE in head, MARK_BYTES
        )
    except BadImage:
        return False
