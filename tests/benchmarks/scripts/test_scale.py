"""The table of large sets: terms that are measured, and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.benchmarks.scripts.scale import (
    SIZES,
    Terms,
    describe,
    format_seconds,
    main,
    table,
)

TERMS = Terms(
    *(2**17, 0.01, 0.001, 0.0001, 100, 1e-3, 200, 17, 1e-7),
    *(2**25, 0.5, 1e-6, 2e-6),
)


def test_the_table_is_multiplication() -> None:
    cells = {row.name: row.cell(2**20) for row in table(TERMS, 2**27)}
    assert cells == {
        "records": "128.0 GiB",
        "shards of 128.0 MiB": "1,024",
        "the list of files and its plan, in memory": "32.5 MiB",
        "planning": "1 s",
        "building": "2.9 h",
        "manifest": "100.0 KiB",
        "manifest, read": "1 s",
        "manifest, in memory": "200.0 KiB",
        "indexes": "17.0 MiB",
        "indexes, read where JPEGs are mapped": "0.1 s",
        "indexes, in memory": "16.0 MiB",
        "an epoch's order if it were sorted, in memory": "12.0 MiB",
        "an epoch's order by formula, in memory": "0 bytes",
        "an epoch's order, computed": "2.1 s",
        "reading an epoch, decoded": "1.7 min",
        "verifying": "17.5 min",
    }
    # One more image begins another shard.
    assert table(TERMS, 2**27)[1].cell(2**20 + 1) == "1,025"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "0.004 s"), (90, "1.5 min"), (4e6, "1,111.1 h")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.slow
def test_it_measures_every_term_and_prints_the_table(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(photos), "--shards", "100", "--each", "2000"])
    printed = capsys.readouterr().out
    measured, end = json.JSONDecoder().raw_decode(printed)
    terms = Terms(**measured)
    assert printed[end:].strip() == describe(table(terms, 2**27))
    assert f"{SIZES[1]:,} images" in printed
    assert 1000 < terms.record_bytes < 2**18
    # A name of 30 letters, three numbers and what stands around them.
    assert 100 < terms.manifest_bytes < 250
    assert 10 < terms.index_bytes < 20
    # So few files are sorted in memory.
    assert terms.plan_bytes > 2000 * terms.plan_file_bytes / 2 > 0
