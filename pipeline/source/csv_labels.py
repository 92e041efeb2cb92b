"""The class and the split of every image, from the label tables of a source.

A table is read into memory, and so are the keys of the files that its names may mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from posixpath import basename, splitext

from alexnet.pipeline.config import LabelSource, Split
from alexnet.pipeline.errors import BadImage, DataError
from alexnet.pipeline.files import name_some
from alexnet.pipeline.remote.place import Place
from alexnet.pipeline.source.csv_names import FileNames
from alexnet.pipeline.source.image_files import ListedFile
from alexnet.pipeline.source.image_tree import ImageTree, folder_name, unwrapped
from alexnet.pipeline.source.label_csv import LabelTable, Row, is_table
from alexnet.pipeline.source.labels import ImageLabel
from alexnet.pipeline.source.remote_store import RemoteStore
from alexnet.pipeline.source.source_file import read_file
from alexnet.pipeline.source.split_names import split_named
from alexnet.pipeline.source.stores import Entry, FolderStore, Store


@dataclass
class Tables:
    """The label tables of a source, and the tables beside them that are none."""

    # Tables, and the split that all of a table belongs to.
    labels: list[tuple[LabelTable, Split | None]] = field(default_factory=list)
    others: list[LabelTable] = field(default_factory=list)

    def hint(self) -> str:
        """Return what would make a label table of one that is none; '' without any."""
        for table in self.others:
            columns = table.header.columns
            if len(columns) > 1:
                return (
                    f"{table.key} beside them is no label table: it has the columns"
                    f" {name_some(columns)} and lacks"
                    f" {' and '.join(table.header.lacking())}. Name the column of the"
                    " file names `filename` and that of the classes `label` in its"
                    " first line."
                )
        return ""


@dataclass
class TableLabels:
    """The labels that tables give to files by their keys."""

    kind: LabelSource = "csv"
    names: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    # Named without a class.
    unlabelled: set[str] = field(default_factory=set)

    @property
    def classes(self) -> set[str]:
        """The names of all classes."""
        return set(self.names.values())

    @property
    def keys(self) -> set[str]:
        """All keys that tables name."""
        return self.names.keys() | self.unlabelled

    def of(self, file: ListedFile) -> ImageLabel | None:
        """Return the label of a file; None where no table names it."""
        name = self.names.get(file.key)
        if name is None and file.key not in self.unlabelled:
            return None
        return ImageLabel(name, self.splits.get(file.key))


def find_tables(
    store: Store, keys: Iterable[str], tree: ImageTree, path: Place
) -> Tables:
    """Find the tables beside a source's images, and those of its given splits.

    Args:
        keys: those of all tables.

    Raises:
        DataError: it is not clear which of several label tables counts.
    """
    top, keys = unwrapped(tree), list(filter(_may_label, keys))
    split_folders = [f for f in tree.folders(top) if split_named(folder_name(f))]
    found = Tables()
    for folder in dict.fromkeys(("", top, *split_folders)):
        beside = [key for key in keys if key == folder + basename(key)]
        tables = [table for key in beside if (table := _read_table(store, key))]
        labels = [table for table in tables if not table.header.lacking()]
        found.others += [table for table in tables if table.header.lacking()]
        inner = folder if folder in split_folders else None
        found.labels += _with_splits(labels, inner, path)
        if found.labels and inner is None:
            break
    return found


def _may_label(key: str) -> bool:
    """Tell a table from a contest's form, such as sample_submission.csv.

    Its labels are made up, and often stand beside the names of the test images.
    """
    return "submission" not in basename(key).lower()


def _read_table(store: Store, key: str) -> LabelTable | None:
    """Return a table; None where it is no file that can be read."""
    try:
        return LabelTable(key, read_file(store, Entry(key, 0), bytes))
    except BadImage:
        return None


def _with_splits(
    tables: list[LabelTable], split_folder: str | None, path: Place
) -> list[tuple[LabelTable, Split | None]]:
    """Return a folder's tables, each with the split that its place or name says."""
    if split_folder and len(tables) == 1:
        return [(tables[0], split_named(folder_name(split_folder)))]
    if len(tables) < 2:
        return [(table, None) for table in tables]
    splits = [split_named(splitext(basename(table.key))[0]) for table in tables]
    if None in splits or len(set(splits)) < len(tables):
        raise DataError(
            f"{path} has several label tables:"
            f" {', '.join(table.key for table in tables)}. Give the right one as the"
            " source, or name them train.csv, validation.csv and test.csv if each is a"
            " split."
        )
    return list(zip(tables, splits, strict=True))


def read_labels(
    store: Store, tables: Tables, keys: Iterable[str]
) -> tuple[TableLabels, list[str]]:
    """Return the class of every file that label tables name, and warnings.

    A named file that is missing is among them; reading it sets it aside by name.

    Raises:
        DataError: a table cannot be read, contradicts itself, or fits no file.
    """
    labels, warnings = TableLabels(), []
    root = store.root if isinstance(store, FolderStore | RemoteStore) else None
    files = [key for key in keys if not is_table(key)]
    for table, split in tables.labels:
        rows = table.rows()
        matched = match_rows(rows, files, table.key, root)
        _add_rows(labels, zip(rows, matched, strict=True), split)
        if table.header.unused:
            warnings.append(
                f"{table.key}: filename, label and split are read, not the columns"
                f" {name_some(table.header.unused)}"
            )
    return labels, warnings


def match_rows(
    rows: Sequence[Row], files: Iterable[str], table: str, root: Place | None
) -> list[str]:
    """Return the key of every row's file, or the key that a missing one would have.

    Args:
        files: the keys of a source, of which those beside and below the table count.
        root: the source's own place, where it is a folder.

    Raises:
        DataError: a name leaves the source, or none fits a file.
    """
    folder = table[: -len(basename(table))]
    names = FileNames((key for key in files if key.startswith(folder)), folder, root)
    spelled = []
    for row in rows:
        key = names.key_of(row.filename)
        if key is None:
            raise DataError(
                f"{row.where}: {row.filename} leaves the folder of the table"
            )
        spelled.append(key)
    matches = names.match(spelled)
    if not matches:
        near, place = names.nearest(rows[0].filename), root / table if root else table
        hint = f"; did you mean {near}?" if near else ""
        raise DataError(
            f"none of the {len(set(spelled)):,} names in {place} fits a file, such as"
            f" {rows[0].filename!r}{hint}"
        )
    return [matches.get(key, key) for key in spelled]


def _add_rows(
    labels: TableLabels, rows: Iterable[tuple[Row, str]], split: Split | None
) -> None:
    """Add the rows of a table, all of which may belong to one `split`."""
    for row, key in rows:
        if not row.label:
            labels.unlabelled.add(key)
            continue
        name = labels.names.setdefault(key, row.label)
        if name != row.label:
            raise DataError(
                f"{row.where}: {row.filename} has two labels, {name} and {row.label}"
            )
        given = row.split or split
        if given and labels.splits.setdefault(key, given) != given:
            raise DataError(
                f"{row.where}: {row.filename} is in two splits, {labels.splits[key]}"
                f" and {given}"
            )
