"""A label table: a CSV whose columns `filename` and `label` tell each image's class.

A third column, `split`, may give the split. Read are the forms that spreadsheets write:
any usual delimiter, quote and encoding, headers in any spelling.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
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
# How UTF-16 begins, with its mark or with an ASCII letter, and how it is decoded.
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
class TableForm:
    """The way in which a table is written: where its header is, what parts columns."""

    # Lines before the header: blank ones, comments, a `sep=` of Excel's.
    skipped: int
    start: int
    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str = '"'

    def lacking(self, needed: tuple[str, ...] = NEEDED) -> list[str]:
        """Return the columns that are needed and not there."""
        return [name for name in needed if name not in map(_spelled, self.columns)]

    @property
    def unused(self) -> list[str]:
        """The columns that say nothing here."""
        used = (*NEEDED, SPLIT)
        return [name for name in self.columns if name and _spelled(name) not in used]


def is_table(key: str) -> bool:
    """Tell a table by the ending of its name."""
    return key.lower().endswith(SUFFIXES)


def table_form(data: bytes) -> TableForm:
    """Return the form of a table: that in which its header names what is needed."""
    text = data.decode(_encoding(data), "replace")
    delimiters, at, skipped = DELIMITERS, 0, 0
    while at < len(text):
        line = LINE.match(text, at)[0]  # type: ignore[index]  # it matches anything
        words = line.strip()
        if words.lower().startswith("sep=") and len(words) == 5:
            delimiters = words[4]
        elif words:
            start = at + line.index(words) + len(words) - len(words.lstrip("# "))
            form = _header(text[start : at + len(line)], skipped, start, delimiters)
            if not words.startswith("#") or not form.lacking():
                return form
        at, skipped = at + len(line), skipped + 1
    return TableForm(skipped, at, ())


def _header(line: str, skipped: int, start: int, delimiters: str) -> TableForm:
    """Return the reading of a header that finds most of what is needed."""
    forms = []
    for delimiter in delimiters:
        for quote in QUOTES:
            try:
                cells = next(csv.reader([line], **_options(delimiter, quote)), [])
            except csv.Error:
                continue
            columns = tuple(cell.strip() for cell in cells)
            forms.append(TableForm(skipped, start, columns, delimiter, quote))
    if not forms:
        return TableForm(skipped, start, ())
    return min(forms, key=lambda form: (len(form.lacking()), -len(form.columns)))


def _options(delimiter: str, quote: str) -> dict[str, Any]:
    return {"delimiter": delimiter, "quotechar": quote, "skipinitialspace": True}


def _spelled(column: str) -> str:
    return re.sub(r"[\s_-]", "", column).casefold()


def read_table(
    data: bytes, table: str, needed: tuple[str, ...] = NEEDED
) -> tuple[list[Row], list[str]]:
    """Return the rows of a label table, and the names of its unused columns.

    Where no label is `needed`, a row without one has ''.

    Raises:
        DataError: it is no label table; the message names the line.
    """
    form = table_form(data)
    _require_columns(form, table, needed)
    lines = _lines(data, table, form)
    rows = [_row(where, cells, form, needed) for where, cells in lines if cells]
    if not rows:
        raise DataError(f"{table} names no files")
    return rows, form.unused


def _require_columns(form: TableForm, table: str, needed: tuple[str, ...]) -> None:
    if lacks := form.lacking(needed):
        has = f" (it has {name_some(form.columns)})" if any(form.columns) else ""
        raise DataError(
            f"{table} lacks the column {' and '.join(lacks)}{has}; its first line"
            f" must name {' and '.join(needed)}"
        )
    spelled = [_spelled(column) for column in form.columns]
    for name in (*NEEDED, SPLIT):
        if spelled.count(name) > 1:
            raise DataError(
                f"{table} has {spelled.count(name)} columns called {name}: leave one"
            )


def _row(where: str, cells: list[str], form: TableForm, needed: tuple[str, ...]) -> Row:
    """Return what a line says.

    Raises:
        DataError: it lacks something.
    """
    values = dict(zip(map(_spelled, form.columns), map(str.strip, cells), strict=False))
    filename, label = (values.get(name, "") for name in NEEDED)
    split = None
    if SPLIT in values:
        split = split_named(values[SPLIT])
        if split is None:
            raise DataError(
                f"{where}: split is {values[SPLIT]!r}; it needs train, validation or"
                " test"
            )
    unlabelled = split == "test" or "label" not in needed
    if not filename or not (label or unlabelled):
        raise DataError(f"{where}: filename or label is empty")
    if "\n" in label or "\r" in label:
        raise DataError(f"{where}: label {label!r} has two lines: is a quote open?")
    return Row(where, filename, label, split)


def _lines(data: bytes, table: str, form: TableForm) -> Iterator[tuple[str, list[str]]]:
    """Yield the cells of every line behind the header, and the place for an error."""
    text = io.StringIO(_text(data, table)[form.start :], newline="")
    reader = csv.reader(text, strict=True, **_options(form.delimiter, form.quote))
    whole = form.skipped
    try:
        next(reader)
        whole += reader.line_num
        for cells in reader:
            whole = form.skipped + reader.line_num
            yield f"{table}, line {whole}", cells
    except csv.Error as error:
        raise DataError(
            f"{table}, line {whole + 1} or after: {error}. Is a quote left open?"
        ) from error


def _encoding(data: bytes) -> str:
    return next((name for mark, name in UTF16 if mark.match(data)), "utf-8-sig")


def _text(data: bytes, table: str) -> str:
    try:
        text = data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        raise _no_text(data, error.start, table) from error
    if "\0" in text:  # of another encoding, and Python 3.10 reads none in a CSV
        raise _no_text(data, data.index(b"\0"), table)
    return text


def _no_text(data: bytes, at: int, table: str) -> DataError:
    line = data.count(b"\n", 0, at) + 1
    return DataError(
        f"{table}, line {line}: this is not UTF-8 text. Save the table as UTF-8."
    )
