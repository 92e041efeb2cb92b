"""The source of a build: which image files there are, each with its class and split.

The first step on the path of an image. Labels come from class folders, from names like
`cat.9194.jpg`, or from a table; given splits are kept, what is no photo is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname
from typing import NamedTuple

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count, name_some, require_local
from alexnet.pipeline.source.archives import open_archive
from alexnet.pipeline.source.csv_labels import Tables, find_tables, read_labels
from alexnet.pipeline.source.given_splits import find_labels
from alexnet.pipeline.source.image_files import list_images
from alexnet.pipeline.source.image_tree import ImageTree
from alexnet.pipeline.source.label_csv import is_table
from alexnet.pipeline.source.labels import EXPECTED, Labels
from alexnet.pipeline.source.own_outputs import PICTURE, own_pictures
from alexnet.pipeline.source.split_names import split_named
from alexnet.pipeline.source.stores import FolderStore, Listing, Store

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


class ImageFile(NamedTuple):
    """A file that looks like an image: key in its source, label, size in bytes.

    The split is there where the source gives one.
    """

    key: str
    label: int
    size_bytes: int
    split: Split | None = None


class Quarantined(NamedTuple):
    """An image file that was set aside, and why."""

    key: str
    reason: str
    bytes: int


@dataclass(frozen=True)
class Source:
    """The images that a scan found, and what it left out, by name."""

    store: Store
    labels: LabelSource
    class_names: tuple[str, ...]
    files: tuple[ImageFile, ...]
    # Each by its name, with the reason where it is odd.
    ignored: tuple[str, ...]
    # Images whose label cannot be told.
    set_aside: tuple[Quarantined, ...] = ()
    # Folders of images without labels, as of a test set, and how many these are.
    unlabelled: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()


def scan(path: Path, labels: LabelSource = "auto") -> Source:
    """Return the image files below `path`, sorted by key, with their labels.

    Raises:
        DataError: there is no such source, it has no images, or it is not clear which
            class they have.
    """
    table: str | None = None
    if is_table(path.name) and path.is_file():
        store: Store = FolderStore(path.parent)
        table, labels = path.name, "csv"
    else:
        store = open_store(path)
    found, images = list_images(store)
    keys = [entry.key for entry in found.files]
    tree = ImageTree(images)
    tables = Tables({table: None}) if table else Tables()
    if table is None and labels in ("auto", "csv"):
        tables = find_tables(store, keys, tree, path)
    if tables.labels:
        told, warnings = read_labels(store, tables.labels, keys)
    else:
        _require_images(images, keys, found, path, labels)
        told, warnings = _told_by_places(tree, labels, tables, path), []
    kept = [entry for entry in found.files if entry.key not in tables.labels]
    return _source(store, Listing(kept, found.left_out), images, told, warnings)


def open_store(path: Path) -> Store:
    """Return the store at `path`, by what it is.

    Raises:
        DataError: there is nothing there, or nothing that can be read.
    """
    require_local(path)
    if path.is_dir():
        return FolderStore(path)
    if not path.exists():
        kind = "file" if path.suffix else "folder"
        raise DataError(
            f"no such {kind}: {path}. Expected a folder of class folders, a flat folder"
            " of names like cat.0.jpg, a CSV with filename,label, or a zip or tar of"
            " one of these."
        )
    if path.is_file():  # opening a pipe would wait for ever
        return open_archive(path)
    raise DataError(f"{path} is neither a folder nor a file")


def _require_images(
    images: Sequence[str],
    keys: Sequence[str],
    found: Listing,
    path: Path,
    labels: LabelSource,
) -> None:
    """Check that there are images, and a table where one is asked for.

    Raises:
        DataError: there are none; the message names what else there is.
    """
    if images and labels == "csv":
        raise DataError(
            f"`labels='csv'`, but {path} has no CSV file with the columns"
            " filename,label. Put one beside the images, or leave `labels` out."
        )
    if images:
        return
    archives = [key for key in keys if key.lower().endswith(ARCHIVE_SUFFIXES)]
    if archives:
        raise DataError(
            f"no images in {path}, but archives: {name_some(archives)}. Unpack them,"
            f" and give the folder or the one archive with the training images, such as"
            f" {min(archives, key=lambda key: 'train' not in key)}."
        )
    others = count(len(keys) + len(found.left_out), "other file")
    raise DataError(f"no images in {path}: found {others}. {EXPECTED}")


def _told_by_places(
    tree: ImageTree, asked: LabelSource, tables: Tables, path: Path
) -> Labels:
    """Return the labels that folders or names tell.

    Raises:
        DataError: they tell none; a table that might is named.
    """
    hint = tables.hint()
    try:
        labels = find_labels(tree, asked, str(path))
    except DataError as error:
        raise DataError(f"{error} {hint}".strip()) from None
    if hint and len(labels.classes) == 1:
        (name,) = labels.classes
        raise DataError(f"{path}: all images would be of one class, {name!r}. {hint}")
    return labels


def _source(
    store: Store,
    found: Listing,
    images: Sequence[str],
    told: Labels,
    warnings: list[str],
) -> Source:
    sizes = dict(found.files)
    class_names = sorted_classes(told.classes)
    index = {name: label for label, name in enumerate(class_names)}
    # A file that a table names and that is missing has size 0; reading it will say so.
    files = tuple(
        ImageFile(key, index[name], sizes.get(key, 0), told.splits.get(key))
        for key, name in sorted(told.names.items())
    )
    drawn = own_pictures(store, told.strays)
    set_aside = tuple(
        Quarantined(key, reason, sizes[key])
        for key, reason in sorted(told.strays.items())
        if key not in drawn
    )
    known = {*told.names, *told.strays, *told.unlabelled}
    beside = [key for key in images if key not in known]
    unlabelled = {*told.unlabelled, *filter(_of_test_set, beside)}
    beside = [key for key in beside if key not in unlabelled]
    known |= unlabelled
    others = [key for key in sizes if key not in known]
    # './' is the source's own folder.
    folders = Counter(f"{dirname(key) or '.'}/" for key in sorted(unlabelled))
    return Source(
        store,
        told.kind,
        class_names,
        files,
        (*others, *(f"{key} ({PICTURE})" for key in drawn), *found.left_out),
        set_aside,
        tuple(folders.items()),
        (*warnings, *_warnings(files, class_names, beside)),
    )


def _of_test_set(key: str) -> bool:
    return any(split_named(part) == "test" for part in key.split("/")[:-1])


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in their one order: numbers by value, ties by the text."""
    names = sorted(names)
    if all(NUMBER.fullmatch(name) for name in names):
        names.sort(key=float)
    return tuple(names)


def _warnings(
    files: Sequence[ImageFile], class_names: Sequence[str], beside: Sequence[str]
) -> list[str]:
    """Return what a user should look at before training on these."""
    warnings = []
    alike: dict[str, list[str]] = defaultdict(list)
    for name in class_names:
        same = unicodedata.normalize("NFC", name).casefold()
        alike[" ".join(same.split())].append(name)
    pairs = [" and ".join(map(repr, names)) for names in alike.values() if names[1:]]
    if pairs:
        warnings.append(
            "classes whose names differ only in case, spaces or Unicode form are kept"
            f" apart: {name_some(pairs)}"
        )
    trained = {file.label for file in files if file.split in (None, "train")}
    others = sorted({file.label for file in files} - trained)
    if others:
        names = name_some([class_names[label] for label in others])
        warnings.append(f"classes without an image to train on: {names}")
    if beside:
        images = count(len(beside), "image")
        warnings.append(f"{images} not named by the table, and left out")
    return warnings
