"""A bench's page holds its ladder, its limits and its verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.benchmarks.input_pipeline.bench_page import write_bench_page
from alexnet.pipeline.errors import DataError
from tests.benchmarks.conftest import MADE_UP
from tests.model.report.pages import read_page


def test_a_page_of_a_bench(tmp_path: Path) -> None:
    values = MADE_UP.to_json()
    (tmp_path / "bench.json").write_text(json.dumps(values))
    write_bench_page(tmp_path / "bench.json", tmp_path / "bench.html")
    page = read_page(tmp_path / "bench.html")
    assert page.headings[1:3] == ["Verdict", "Ladder"] and not page.addresses
    ladder = [row for row in page.rows if len(row) == 5][1:]
    for rung, row in zip(values["rungs"], ladder, strict=True):
        assert row[0] == rung["stage"]
        assert row[2] == f"{rung['images_per_second']:,.0f}"
        share = values["shares"].get(rung["stage"])
        told = f"{share['share']:.1%} of {share['limit']}" if share else "–"
        assert row[4].replace(" %", "%") == told
    for name, rate in values["limits"].items():
        assert page.row(name) == [name, f"{rate:,.0f}"]
    assert f"Bottleneck: {values['bottleneck']}." in page.words
    assert values["advice"].replace("`", "") in page.words
    assert page.row("storage", values["storage"]) and page.row("name")


def test_what_is_no_bench_is_refused(tmp_path: Path) -> None:
    values = MADE_UP.to_json()
    del values["limits"]
    path = tmp_path / "bench.json"
    for text in (json.dumps(values), "[]", "no JSON"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"no bench's report .* --json > FILE"):
            write_bench_page(path, tmp_path / "page.html")
    with pytest.raises(DataError, match="no such file"):
        write_bench_page(tmp_path / "gone.json", tmp_path / "page.html")
