"""Images to predict: the very files that a build would take, wherever they are.

A file, a folder, a zip or tar or a folder inside of one, a table of file names, or a
pattern becomes items that can be read one by one; so it does at a URL, but for folders
inside of archives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.records.image_formats import has_image_suffix
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.remote.url import WEB
from alexnet.pipeline.source.archives import (
    is_archive,
    open_archive,
    open_beside,
    open_store,
)
from alexnet.pipeline.source.csv_labels import match_rows
from alexnet.pipeline.source.image_files import list_files
from alexnet.pipeline.source.label_csv import NEEDED, LabelTable, is_table
from alexnet.pipeline.source.patterns import (
    fitting_keys,
    fitting_paths,
    is_pattern,
)
from alexnet.pipeline.source.remote_store import RemoteStore
from alexnet.pipeline.source.stores import FolderStore, Store

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
    for place in places:
        if not is_pattern(place):
            yield from _images_at(place)
        elif isinstance(place, Location):
            yield from _images_fitting(place)
        else:
            fitting = fitting_paths(place)
            if not fitting:
                raise _nothing_fits(place)
            for match in fitting:
                yield from _images_at(match)


def _nothing_fits(pattern: Place) -> DataError:
    return DataError(f"no file fits {pattern}. {EXPECTED}")


def _images_at(path: Place) -> Iterator[ImageItem]:
    if isinstance(path, Location):
        return _images_behind(path)
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
    """Yield the images at a URL; those of a folder, archive or table are read ahead."""
    if location.is_dir():
        return _images_in(RemoteStore(location), location)
    if not has_image_suffix(location.name) and location.is_file():
        if is_table(location.name):
            return _images_of_table(location)
        if is_archive(location):
            return _images_in(open_store(location), location)
    return iter([ImageItem(str(location), RemoteStore(location.parent), location.name)])


def _images_fitting(pattern: Location) -> Iterator[ImageItem]:
    """Yield the images that fit a pattern at a URL, or lie in what does.

    One store reads them, and so a few ahead of all of them.

    Raises:
        DataError: there are none.
    """
    if pattern.protocol in WEB:
        raise DataError(
            f"{pattern}: a web server lists no files, of which some may fit a pattern."
            " Give the addresses of images, or that of a table beside them, a CSV with"
            " filename."
        )
    folder, fitting = fitting_keys(pattern)
    store = RemoteStore(folder, [*fitting])
    files = [
        file
        for file in list_files(store).files
        # Of a folder that fits the images are taken, and whatever fits itself.
        if file.is_image or file.key == "/".join(fitting[file.key])
    ]
    if not files:
        raise _nothing_fits(pattern)
    files.sort(key=lambda file: (fitting[file.key], _by_number(file.key)))
    store.expect(file.key for file in files if file.is_image)
    for file in files:
        if file.is_image:
            yield ImageItem(store.place(file.key), store, file.key)
        else:
            yield from _images_behind(folder / file.key)


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


def _images_of_table(place: Place) -> Iterator[ImageItem]:
    """Yield the images that a table names, in its order."""
    rows = LabelTable(str(place), place.read_bytes()).rows(NEEDED[:1])
    store = open_beside(place, lambda: rows)
    keys = (entry.key for entry in store.entries(lambda other: None))
    files = [key for key in keys if not is_table(key)]
    matched = match_rows(rows, files, place.name, place.parent)
    store.expect(matched)
    for key in matched:
        yield ImageItem(str(place.parent / key), store, key)
