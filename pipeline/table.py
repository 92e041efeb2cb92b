"""A label table: a CSV whose columns `filename` and `label` tell each image's class.

One of the ways in which the files of a source get their labels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath

from pipeline.errors import DataError
from pipeline.store import Entry, Store


def find_table(
    store: Store, entries: list[Entry], path: Path, needed: bool
) -> str | None:
    """The key of the one label table directly in a source; None without any.

    Raises:
        DataError: there are several, or none and one is `needed`.
    """
    tables = [e.key for e in entries if e.key.endswith(".csv") and "/" not in e.key]
    tables = [key for key in tables if {"filename", "label"} <= _columns(store, key)]
    if len(tables) == 1:
        return tables[0]
    if tables:
        raise DataError(
            f"{path} has several label tables: {', '.join(tables)}. Give the right one"
            " as the source."
        )
    if needed:
        raise DataError(
            f"--labels csv, but {path} has no CSV file with the columns filename,label."
            " Put one beside the images, or leave --labels out."
        )
    return None


def _columns(store: Store, key: str) -> set[str]:
    """What a CSV's first line names; nothing when it cannot be read."""
    try:
        text = store.read(key).decode("utf-8-sig", "replace")
        return set(csv.DictReader(io.StringIO(text, newline="")).fieldnames or ())
    except (OSError, csv.Error):
        return set()


def read_labels(data: bytes, table: str) -> dict[str, str]:
    """The class name of every file that a table's bytes name, by key.

    Raises:
        DataError: it is no label table; the message names the line.
    """
    labels: dict[str, str] = {}
    for where, row in _rows(data, table):
        key, name = (row["filename"] or "").strip(), (row["label"] or "").strip()
        if not key or not name:
            raise DataError(f"{where}: filename or label is empty")
        if "\n" in name or "\r" in name:
            raise DataError(f"{where}: label {name!r} has two lines: is a quote open?")
        if key.startswith("/") or ".." in key.split("/"):
            raise DataError(f"{where}: {key} leaves the folder of the table")
        key = normpath(key)
        if labels.setdefault(key, name) != name:
            raise DataError(f"{where}: {key} has two labels, {labels[key]} and {name}")
    if not labels:
        raise DataError(f"{table} names no files")
    return labels


def _rows(data: bytes, table: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    """The rows of a label table, each with the place that an error names."""
    reader = csv.DictReader(_lines(data, table), strict=True)
    whole = 0
    try:
        missing = {"filename", "label"} - set(reader.fieldnames or ())
        if missing:
            raise DataError(
                f"{table} lacks the column {' and '.join(sorted(missing))}; its first"
                " line must name filename and label"
            )
        whole = reader.line_num
        for row in reader:
            whole = reader.line_num
            yield f"{table}, line {whole}", row
    except csv.Error as error:
        raise DataError(
            f"{table}, line {whole + 1} or after: {error}. Is a quote left open?"
        ) from error


def _lines(data: bytes, table: str) -> io.StringIO:
    try:
        # UTF-16 has zero bytes, and Python 3.10 reads none in a CSV.
        text = data.replace(b"\0", b"\xff").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{table}, line {line}: this is not UTF-8 text. Save the table as UTF-8."
        ) from error
    return io.StringIO(text, newline="")
