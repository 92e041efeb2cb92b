"""The source of a build: its image files, each with its class and split.

The first step on the path of an image. Labels come from class folders, from names like
`cat.9194.jpg`, or from a table; given splits are kept, other files are left out.
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
from alexnet.pipeline.files import count, name_some
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.remote.url import WEB
from alexnet.pipeline.source.archives import open_store
from alexnet.pipeline.source.csv_labels import Tables, find_tables, read_labels
from alexnet.pipeline.source.given_splits import find_labels, split_named
from alexnet.pipeline.source.image_files import PICTURE, list_images, own_pictures
from alexnet.pipeline.source.label_csv import LabelTable, is_table
from alexnet.pipeline.source.labels import EXPECTED, ImageTree, Labels
from alexnet.pipeline.source.remote_store import RemoteStore
from alexnet.pipeline.source.stores import FolderStore, Listing, Store

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


class ImageFile(NamedTuple):
    """A file that looks like an image; its split where the source gives one.

    The key is its posix path relative to the source.
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
    """The images of a source, and the names of the files that are left out."""

    store: Store
    labels: LabelSource
    class_names: tuple[str, ...]
    files: tuple[ImageFile, ...]
    # Files that are no images, with the reason where it is odd.
    ignored: tuple[str, ...]
    # Images whose label is not known.
    set_aside: tuple[Quarantined, ...] = ()
    # Folders of images without labels, as of a test set, and the number in each.
    unlabelled: tuple[tuple[str, int], ...] = ()
    warnings: tuple[str, ...] = ()


def scan(path: Place, labels: LabelSource = "auto") -> Source:
    """Return the image files below a path or URL, sorted by key, with their labels.

    Raises:
        DataError: there is no such source, it has no images, or it is not clear which
            class they have.
    """
    path, tables = as_place(path), Tables()
    if is_table(path.name) and path.is_file():
        table = LabelTable(path.name, path.read_bytes())
        tables.labels.append((table, None))
        store = _store_of_table(path, table)
    else:
        store = open_store(path)
    listing, images = list_images(store)
    keys = [entry.key for entry in listing.files]
    tree = ImageTree(images)
    if not tables.labels and labels in ("auto", "csv"):
        tables = find_tables(store, keys, tree, path)
    if tables.labels:
        labelled, warnings = read_labels(store, tables, keys)
    else:
        _require_images(images, listing, path, labels)
        labelled, warnings = _labels_by_place(tree, labels, tables, path), []
    table_keys = {table.key for table, _ in tables.labels}
    files = [entry for entry in listing.files if entry.key not in table_keys]
    return _source(store, Listing(files, listing.left_out), images, labelled, warnings)


def _store_of_table(path: Place, table: LabelTable) -> Store:
    """Return the store of the files that a table names, those beside it."""
    if isinstance(path, Path):
        return FolderStore(path.parent)
    if path.protocol in WEB:  # which lists nothing
        return RemoteStore(path.parent, [row.filename for row in table.rows()])
    return RemoteStore(path.parent)


def _require_images(
    images: Sequence[str], listing: Listing, path: Place, labels: LabelSource
) -> None:
    """Check that there are images, and a table where one is asked for."""
    if images and labels == "csv":
        raise DataError(
            f"`labels='csv'`, but {path} has no CSV file with the columns"
            " filename,label. Put one beside the images, or leave `labels` out."
        )
    if images:
        return
    keys = [entry.key for entry in listing.files]
    archives = [key for key in keys if key.lower().endswith(ARCHIVE_SUFFIXES)]
    if archives:
        raise DataError(
            f"no images in {path}, but archives: {name_some(archives)}. Unpack them,"
            f" and give the folder or the one archive with the training images, such as"
            f" {min(archives, key=lambda key: 'train' not in key)}."
        )
    others = count(len(keys) + len(listing.left_out), "other file")
    raise DataError(f"no images in {path}: found {others}. {EXPECTED}")


def _labels_by_place(
    tree: ImageTree, asked: LabelSource, tables: Tables, path: Place
) -> Labels:
    """Return the labels that folders or file names give."""
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
    listing: Listing,
    images: Sequence[str],
    labels: Labels,
    warnings: list[str],
) -> Source:
    sizes = dict(listing.files)
    class_names = sorted_classes(labels.classes)
    index = {name: label for label, name in enumerate(class_names)}
    # A file that a table names and that is missing has size 0; reading it will say so.
    files = tuple(
        ImageFile(key, index[name], sizes.get(key, 0), labels.splits.get(key))
        for key, name in sorted(labels.names.items())
    )
    drawn = own_pictures(store, labels.strays)
    set_aside = tuple(
        Quarantined(key, reason, sizes[key])
        for key, reason in sorted(labels.strays.items())
        if key not in drawn
    )
    labelled = {*labels.names, *labels.strays, *labels.unlabelled}
    beside = [key for key in images if key not in labelled]
    unlabelled = {*labels.unlabelled, *filter(_is_of_test_set, beside)}
    beside = [key for key in beside if key not in unlabelled]
    others = [key for key in sizes if key not in labelled | unlabelled]
    # './' is the source's own folder.
    folders = Counter(f"{dirname(key) or '.'}/" for key in sorted(unlabelled))
    return Source(
        store,
        labels.kind,
        class_names,
        files,
        (*others, *(f"{key} ({PICTURE})" for key in drawn), *listing.left_out),
        set_aside,
        tuple(folders.items()),
        (*warnings, *_warnings(files, class_names, beside)),
    )


def _is_of_test_set(key: str) -> bool:
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
    """Return what a user should look at before training on these files."""
    warnings = []
    similar: dict[str, list[str]] = defaultdict(list)
    for name in class_names:
        folded = unicodedata.normalize("NFC", name).casefold()
        similar[" ".join(folded.split())].append(name)
    pairs = [" and ".join(map(repr, names)) for names in similar.values() if names[1:]]
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
