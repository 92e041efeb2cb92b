"""The source of a build: its image files, each with its class and split.

The first step on the path of an image. Labels come from class folders, from names like
`cat.9194.jpg`, or from a table; given splits are kept, other files are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import NamedTuple

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import count
from alexnet.pipeline.remote.place import Place, as_place
from alexnet.pipeline.source.archives import open_beside, open_store
from alexnet.pipeline.source.classes import class_warnings, sorted_classes
from alexnet.pipeline.source.csv_labels import (
    TableLabels,
    Tables,
    find_tables,
    read_labels,
)
from alexnet.pipeline.source.given_splits import find_labels
from alexnet.pipeline.source.image_files import (
    PICTURE,
    ListedFile,
    Listing,
    is_own_picture,
    list_files,
)
from alexnet.pipeline.source.image_tree import ImageTree
from alexnet.pipeline.source.label_csv import LabelTable, is_table
from alexnet.pipeline.source.labels import FolderLabels, ImageLabel, require_images
from alexnet.pipeline.source.split_names import split_named
from alexnet.pipeline.source.stores import Store, folder_of
from alexnet.pipeline.table import Rows, Table


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
    """The images of a source, and the names of the files that are left out.

    The long lists of what a scan finds are on the disk.
    """

    store: Store
    labels: LabelSource
    class_names: tuple[str, ...]
    files: Sequence[ImageFile]
    # Files that are no images, with the reason where it is odd.
    ignored: Sequence[str]
    # Images whose label is not known.
    set_aside: Sequence[Quarantined] = ()
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
        store = open_beside(path, table.rows)
    else:
        store = open_store(path)
    listing = list_files(store)
    tree = ImageTree(listing.files)
    if not tables.labels and labels in ("auto", "csv"):
        tables = find_tables(store, listing.tables, tree, path)
    if tables.labels:
        keys = [file.key for file in listing.files]
        of_tables, warnings = read_labels(store, tables, keys)
        return _sorted_out(store, listing, of_tables, tables, warnings)
    require_images(tree, listing, path, labels)
    of_folders = _labels_by_place(tree, labels, tables, path)
    return _sorted_out(store, listing, of_folders, tables, ())


def _labels_by_place(
    tree: ImageTree, asked: LabelSource, tables: Tables, path: Place
) -> FolderLabels:
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


def _sorted_out(
    store: Store,
    listing: Listing,
    labels: FolderLabels | TableLabels,
    tables: Tables,
    warnings: Sequence[str],
) -> Source:
    """Return the source in which every file has the place that its label gives it."""
    table_keys = {table.key for table, _ in tables.labels}
    files: Iterable[ListedFile]
    files = (file for file in listing.files if file.key not in table_keys)
    if isinstance(labels, TableLabels):
        keys = {file.key for file in listing.files} - table_keys
        # Reading a file that is missing will say so.
        missing = sorted(ListedFile(key, 0, False) for key in labels.keys - keys)
        files = merge(files, missing)
    kinds = _FileKinds(store, labels.classes)
    for file in files:
        kinds.add(file, labels.of(file))
    for name in (*kinds.drawn, *listing.left_out):
        kinds.ignored.append((name,))
    warnings = [*warnings, *class_warnings(kinds.class_names, kinds.held)]
    if kinds.num_unnamed:
        images = count(kinds.num_unnamed, "image")
        warnings.append(f"{images} not named by the table, and left out")
    return Source(
        store,
        labels.kind,
        kinds.class_names,
        Rows(kinds.labelled, ImageFile),
        Rows(kinds.ignored, str),
        Rows(kinds.set_aside, Quarantined),
        tuple(kinds.unlabelled.items()),
        tuple(warnings),
    )


class _FileKinds:
    """Files by what becomes of them, sorted by key."""

    def __init__(self, store: Store, classes: Iterable[str]) -> None:
        self._store, self.class_names = store, sorted_classes(classes)
        self._index = {name: label for label, name in enumerate(self.class_names)}
        self.labelled, self.set_aside, self.ignored = Table(), Table(), Table()
        # The splits of labelled files, with the numbers of their classes.
        self.held: set[tuple[Split | None, int]] = set()
        # By folder; './' is the source's own.
        self.unlabelled: Counter[str] = Counter()
        # Pictures that the project has drawn, each as 'name (reason)'.
        self.drawn: list[str] = []
        # Images that no table names.
        self.num_unnamed = 0

    def add(self, file: ListedFile, label: ImageLabel | None) -> None:
        """Take in the next file, which has no label where nothing names it."""
        key, size_bytes, is_image = file
        if label is None:
            if is_image and _is_of_test_set(key):
                self.unlabelled[folder_of(key) or "./"] += 1
                return
            self.num_unnamed += is_image
            self.ignored.append((key,))
        elif label.class_name is not None:
            number = self._index[label.class_name]
            self.held.add((label.split, number))
            self.labelled.append((key, number, size_bytes, label.split))
        elif not label.reason:
            self.unlabelled[folder_of(key) or "./"] += 1
        elif is_own_picture(self._store, key):
            self.drawn.append(f"{key} ({PICTURE})")
        else:
            self.set_aside.append((key, label.reason, size_bytes))


def _is_of_test_set(key: str) -> bool:
    return any(split_named(part) == "test" for part in key.split("/")[:-1])
