"""A bench's report as a page: the ladder, its limits, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet.benchmarks.config import BenchSettings
from alexnet.benchmarks.input_pipeline.compare import read_report
from alexnet.model.report.page import number, write_page

# A table of a page: its heading, the names of its columns, its rows.
Table = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]


def write_bench_page(report_file: Path, out: Path) -> None:
    """Write a page of what `bench input-pipeline --json` wrote to a file.

    Raises:
        DataError: it is no such report.
        OSError: the page cannot be written.
    """
    write_page(out, "bench.html", **read_report(report_file, page_of))


def page_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the template shows, from a report's JSON.

    Raises:
        LookupError, TypeError: it is no report.
    """
    return {
        "title": f"Input pipeline of {report['data']}",
        "bottleneck": report["bottleneck"],
        "advice": report["advice"],
        "notes": report["notes"],
        "figures": _figures(report),
        "rungs": _rungs(report),
        "tables": _tables(report),
    }


def _figures(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The few figures at the top."""
    return [
        ("images/s in batches", number(report["images_per_second"])),
        ("slowest part", report["bottleneck"]),
        ("first batch after", f"{report['first_batch_seconds']:.2f} s"),
    ]


def _rungs(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rungs, with their part of an image's time and their share of a limit."""
    rungs = report["rungs"]
    whole = sum(rung["added_microseconds"] for rung in rungs)
    return [
        {
            **rung,
            "part": rung["added_microseconds"] / whole,
            "share": report["shares"].get(rung["stage"]),
        }
        for rung in rungs
    ]


def _tables(report: Mapping[str, Any]) -> list[Table]:
    ratios = report.get("ratios", {})
    return [
        ("Limits", ("", "images/s"), list(report["limits"].items())),
        (
            "What would change it",
            ("change", "images/s"),
            [
                (change["change"], change["images_per_second"])
                for change in report["predictions"]
            ],
        ),
        (
            "Against",
            ("loader", "images/s", "ours, times"),
            [
                (name, rate, ratios[name]["ratio"])
                for name, rate in report.get("against", {}).items()
            ],
        ),
        (
            "Settings",
            ("setting", ""),
            [(name, report[name]) for name in BenchSettings.__dataclass_fields__],
        ),
        (
            "Machine",
            ("", ""),
            [*report["host"].items(), *report["versions"].items()],
        ),
    ]
