"""Images to predict: the very files that a build would take, wherever they are.

A file, a folder, a zip or tar or a folder inside of one, a table of file names, or a
pattern becomes items that can be read one by one. At a URL it is an image, a folder,
or an archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.image_formats import (
    HEAD_BYTES,
    has_image_magic,
    has_image_suffix,
)
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.remote.transfer import fetch_range
from alexnet.pipeline.source.archives import is_archive, open_archive, open_store
from alexnet.pipeline.source.csv_labels import match_rows
from alexnet.pipeline.source.image_files import list_files
from alexnet.pipeline.source.label_csv import NEEDED, LabelTable, is_table
from alexnet.pipeline.source.remote_store import RemoteStore
from alexnet.pipeline.source.stores import FolderStore, Store

PATTERN = re.compile(r"[*?[]")
EXPECTED = (
    "Expected an image, a folder, a zip or tar, a CSV with filename, or a pattern."
)


class ImageItem(NamedTuple):
    """An image: its name for people, its store, and its key there."""

    name: str
    store: Store
    key: str

    def read(self) -> bytes:
        """Return the bytes of the file.

        Raises:
            OSError: it cannot be read.
        """
        return self.store.read(self.key)


def find_images(places: Iterable[Place]) -> Iterator[ImageItem]:
    """Yield the images that places name; folders and archives are searched to the end.

    A missing file is yielded as well: reading it says so, without holding up others.

    Raises:
        DataError: a folder or an archive holds no images, or a pattern fits nothing.
        RemoteError: a store does not answer.
    """
    for path in places:
        if isinstance(path, Location):
            yield from _images_behind(path)
            continue
        if path.exists() or not PATTERN.search(str(path)):
            yield from _images_at(path)
            continue
        fitting = _fitting(path)
        if not fitting:
            raise DataError(f"no file fits {path}. {EXPECTED}")
        for match in fitting:
            yield from _images_at(match)


def _images_at(path: Path) -> Iterator[ImageItem]:
    if path.is_dir():
        return _images_in(FolderStore(path), path)
    if is_table(path.name) and path.is_file():
        return _images_of_table(path)
    archive = next((p for p in (path, *path.parents) if p.is_file()), None)
    if archive and (archive != path or is_archive(path)):
        inner = path.relative_to(archive).as_posix()
        return _images_in(open_archive(archive), archive, "" if inner == "." else inner)
    return iter([ImageItem(str(path), FolderStore(path.parent), path.name)])


def _images_behind(location: Location) -> Iterator[ImageItem]:
    """Yield the images at a URL, which are read ahead."""
    if is_table(location.name):
        raise DataError(
            f"{location} is a table at a URL, which is read for a build alone. Give the"
            " folder of its images, or fetch it and give it here."
        )
    if _names_image(location) or not location.exists():
        store = RemoteStore(location.parent)
        return iter([ImageItem(str(location), store, location.name)])
    return _images_in(open_store(location), location)


def _names_image(location: Location) -> bool:
    """Tell an image by its name, else by its first bytes."""
    if has_image_suffix(location.name):
        return not location.is_dir()
    return location.is_file() and has_image_magic(fetch_range(location, 0, HEAD_BYTES))


def _images_in(store: Store, path: Place, inner: str = "") -> Iterator[ImageItem]:
    """Yield the images of a store, or those of a folder inside."""
    keys = list(list_files(store).images())
    if inner:
        keys = [key for key in keys if f"{key}/".startswith(f"{inner}/")]
    if not keys:
        raise DataError(f"no images in {path / inner}. {EXPECTED}")
    keys.sort(key=_by_number)
    store.expect(keys)
    return (ImageItem(str(path / key), store, key) for key in keys)


def _by_number(key: str) -> tuple[str, str]:
    """Return a sort key by which 2.jpg comes before 10.jpg."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), key), key


def _images_of_table(path: Path) -> Iterator[ImageItem]:
    """Yield the images that a table names, in its order."""
    store = FolderStore(path.parent)
    rows = LabelTable(path.name, store.read(path.name)).rows(NEEDED[:1])
    keys = (entry.key for entry in store.entries(lambda other: None))
    files = [key for key in keys if not is_table(key)]
    for key in match_rows(rows, files, path.name, store.root):
        yield ImageItem(str(path.parent / key), store, key)


def _fitting(pattern: Path) -> list[Path]:
    """Return the paths that fit; `**` within a name is `*`, as Python 3.13 has it."""
    below = [
        part if part == "**" else part.replace("**", "*")
        for part in pattern.relative_to(pattern.anchor).parts
    ]
    return sorted(Path(pattern.anchor).glob("/".join(below)))
