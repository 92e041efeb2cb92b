"""Rows on the disk against lists of the same rows."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.table import CHUNK_ROWS, Rows, Table, sorted_rows
from tests.conftest import slow

TEXTS = [
    "a",
    "ab",
    "é",
    "\ud7ff",
    "\udc80",
    "\udcff.jpg",
    "\ue000",
    "\U0001f436",
    "",
    "Z",
]


class Pet(NamedTuple):
    name: str
    age: int | None


def pets(number: int) -> list[Pet]:
    return [Pet(f"{n * 7919 % number:05}", n if n % 3 else None) for n in range(number)]


def rows_of(items: list[Pet]) -> Rows[Pet]:
    table = Table()
    table.extend(items)
    return Rows(table, Pet)


@pytest.mark.parametrize("number", [0, 1, CHUNK_ROWS, 2 * CHUNK_ROWS + 7])
def test_rows_are_a_list(number: int) -> None:
    items = pets(number)
    rows = rows_of(items)
    assert list(rows) == items
    assert rows == items and rows == tuple(items)
    assert rows[:] == rows
    for cut in (slice(3, -2), slice(-5, None), slice(None, None, 700), slice(9, 2)):
        assert list(rows[cut]) == items[cut] == rows[cut]
    for place in range(-number, number, 501):
        assert rows[place] == items[place]
    with pytest.raises(IndexError):
        rows[number]


def test_other_rows_are_not_equal() -> None:
    items = pets(5)
    assert rows_of(items) != items[:-1]
    assert rows_of(items) != [*items[:-1], Pet("x", 1)]
    assert rows_of(items) != "12345"


def test_texts_come_back_as_they_were() -> None:
    """Surrogates too, which stand for bytes of a name that are no UTF-8."""
    table = Table()
    table.extend((text, None, b"\xff") for text in TEXTS * CHUNK_ROWS)
    assert [text for text, *_ in table.read(0, len(table))] == TEXTS * CHUNK_ROWS


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001, slow(5300)])
def test_sorted_rows_are_a_sorted_list(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("alexnet.pipeline.table.RUN_ROWS", 1000)
    names = Random(1).choices(TEXTS, k=number)
    items = Random(2).sample(
        [(f"{name}{n}", n) for n, name in enumerate(names)], number
    )
    assert list(sorted_rows(items)) == sorted(items)


def test_rows_are_read_by_any_thread() -> None:
    items = pets(3000)
    rows = rows_of(items)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(rows.__getitem__, range(3000))) == items


def test_rows_travel_as_a_tuple() -> None:
    travelled = pickle.loads(pickle.dumps(rows_of(pets(9))[2:5]))
    assert travelled == tuple(pets(9)[2:5])


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tempfile.TemporaryFile",
        lambda buffering: open("/dev/full", "r+b", buffering),  # noqa: SIM115, PTH123
    )
    with pytest.raises(DataError, match=r"No space left .* TMPDIR"):
        rows_of(pets(CHUNK_ROWS))
    assert len(rows_of(pets(CHUNK_ROWS - 1))) == CHUNK_ROWS - 1  # needs no file


def test_no_folder_for_temporary_files_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(
        "tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "x")]
    )
    with pytest.raises(DataError, match=r"No usable temporary directory .* TMPDIR"):
        Table()
