"""A label table: a CSV whose columns `filename` and `label` give each image's class.

A third column, `split`, may give the split. It is read in the forms that spreadsheets
write: any usual delimiter, quote and encoding, headers in any spelling.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from alexnet.pipeline.config import Split
from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import name_some
from alexnet.pipeline.source.split_names import split_named

NEEDED = ("filename", "label")
SPLIT = "split"
DELIMITERS, QUOTES = ",;\t|", "\"'"
SUFFIXES = (".csv", ".tsv")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
# The beginnings of UTF-16, with its mark or with an ASCII letter, and their codecs.
UTF16 = (
    (re.compile(rb"\xff\xfe|\xfe\xff"), "utf-16"),
    (re.compile(rb"[\s -~]\0[\s -~]\0"), "utf-16-le"),
    (re.compile(rb"\0[\s -~]\0[\s -~]"), "utf-16-be"),
)


class Row(NamedTuple):
    """One line of a table; `where` names it in errors, an unlabelled image has ''."""

    where: str
    filename: str
    label: str
    split: Split | None


@dataclass(frozen=True)
class Header:
    """The first line of a table, and how it separates and quotes its columns."""

    # Lines before it: blank ones, comments, Excel's `sep=`.
    skipped: int
    # Its first character.
    start: int
    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str = '"'

    @cached_property
    def names(self) -> list[str]:
        """The columns in one spelling: lower case, without spaces and underscores."""
        return [re.sub(r"[\s_-]", "", column).casefold() for column in self.columns]

    def lacking(self, needed: tuple[str, ...] = NEEDED) -> list[str]:
        """Return the columns that are needed and missing."""
        return [name for name in needed if name not in self.names]

    @property
    def unused(self) -> list[str]:
        """The columns that are not read."""
        pairs = zip(self.columns, self.names, strict=True)
        return [column for column, name in pairs if name not in ("", *NEEDED, SPLIT)]


def is_table(key: str) -> bool:
    """Tell a table by the ending of its name."""
    return key.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class LabelTable:
    """A file that may be a label table, read once."""

    key: str
    data: bytes

    @cached_property
    def header(self) -> Header:
        """The first line that names what is needed, else the first with words."""
        text = self.data.decode(self._encoding, "replace")
        delimiters, at, skipped = DELIMITERS, 0, 0
        while at < len(text):
            line = LINE.match(text, at)[0]  # type: ignore[index]  # it matches anything
            words = line.strip()
            if words.lower().startswith("sep=") and len(words) == 5:
                delimiters = words[4]
            elif words:
                start = at + line.index(words) + len(words) - len(words.lstrip("# "))
                rest = text[start : at + len(line)]
                header = _read_header(rest, skipped, start, delimiters)
                if not words.startswith("#") or not header.lacking():
                    return header
            at, skipped = at + len(line), skipped + 1
        return Header(skipped, at, ())

    def rows(self, needed: tuple[str, ...] = NEEDED) -> list[Row]:
        """Return the rows.

        Where no label is `needed`, a row without one has ''.

        Raises:
            DataError: it is no label table; the message names the line.
        """
        self._require_columns(needed)
        lines = self._lines()
        rows = [self._row(where, cells, needed) for where, cells in lines if cells]
        if not rows:
            raise DataError(f"{self.key} names no files")
        return rows

    def _require_columns(self, needed: tuple[str, ...]) -> None:
        columns = self.header.columns
        if lacks := self.header.lacking(needed):
            has = f" (it has {name_some(columns)})" if any(columns) else ""
            raise DataError(
                f"{self.key} lacks the column {' and '.join(lacks)}{has}; its first"
                f" line must name {' and '.join(needed)}"
            )
        for name in (*NEEDED, SPLIT):
            if (count := self.header.names.count(name)) > 1:
                raise DataError(
                    f"{self.key} has {count} columns called {name}: leave one"
                )

    def _row(self, where: str, cells: list[str], needed: tuple[str, ...]) -> Row:
        """Return what a line says."""
        values = dict(zip(self.header.names, map(str.strip, cells), strict=False))
        filename, label = (values.get(name, "") for name in NEEDED)
        split = None
        if SPLIT in values:
            split = split_named(values[SPLIT])
            if split is None:
                raise DataError(
                    f"{where}: split is {values[SPLIT]!r}; it needs train, validation"
                    " or test"
                )
        unlabelled = split == "test" or "label" not in needed
        if not filename or not (label or unlabelled):
            raise DataError(f"{where}: filename or label is empty")
        if "\n" in label or "\r" in label:
            raise DataError(f"{where}: label {label!r} has two lines: is a quote open?")
        return Row(where, filename, label, split)

    def _lines(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the cells of every line below the header, and its place for errors."""
        header = self.header
        text = io.StringIO(self._text()[header.start :], newline="")
        options = _csv_options(header.delimiter, header.quote)
        reader = csv.reader(text, strict=True, **options)
        line = header.skipped
        try:
            next(reader)
            line += reader.line_num
            for cells in reader:
                line = header.skipped + reader.line_num
                yield f"{self.key}, line {line}", cells
        except csv.Error as error:
            raise DataError(
                f"{self.key}, line {line + 1} or after: {error}. Is a quote left open?"
            ) from error

    @property
    def _encoding(self) -> str:
        codecs = (codec for begin, codec in UTF16 if begin.match(self.data))
        return next(codecs, "utf-8-sig")

    def _text(self) -> str:
        try:
            text = self.data.decode(self._encoding)
            # Zeros are of another encoding, and Python 3.10 reads none in a CSV.
            undecodable = self.data.index(b"\0") if "\0" in text else None
        except UnicodeDecodeError as error:
            undecodable = error.start
        if undecodable is None:
            return text
        line = self.data.count(b"\n", 0, undecodable) + 1
        raise DataError(
            f"{self.key}, line {line}: this is not UTF-8 text. Save the table as UTF-8."
        )


def _read_header(line: str, skipped: int, start: int, delimiters: str) -> Header:
    """Return the reading of a header that finds most of what is needed."""
    headers = []
    for delimiter in delimiters:
        for quote in QUOTES:
            try:
                cells = next(csv.reader([line], **_csv_options(delimiter, quote)), [])
            except csv.Error:
                continue
            columns = tuple(cell.strip() for cell in cells)
            headers.append(Header(skipped, start, columns, delimiter, quote))
    if not headers:
        return Header(skipped, start, ())
    return min(headers, key=lambda head: (len(head.lacking()), -len(head.columns)))


def _csv_options(delimiter: str, quote: str) -> dict[str, Any]:
    return {"delimiter": delimiter, "quotechar": quote, "skipinitialspace": True}
