"""Older reports: which are read, what they are compared by, and when it is too slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import (
    Figures,
    changes,
    figures,
    load_figures,
    require_comparable,
    require_no_slower,
)
from pipeline.errors import AlexnetError, ConfigError, DataError

REPORT = {
    "storage": "jpeg",
    "batch_size": 128,
    "images_per_second": 5_000.0,
    "rungs": [
        {"stage": "decode", "images_per_second": 4_900.0, "spread": 0.1},
        {"stage": "prefetch", "images_per_second": 5_000.0, "spread": 0.1},
        {"stage": "augment", "images_per_second": 900.0, "spread": 0.1},
    ],
    "shares": {
        "decode": {"limit": "jpeg decode", "share": 0.49},
        "prefetch": {"limit": "jpeg decode", "share": 0.5},
        "augment": {"limit": "augment alone", "share": 0.9},
    },
}
OLD = Figures("jpeg", 128, 5_000.0, 0.5)


def test_the_share_is_that_of_the_hosts_last_rung() -> None:
    assert figures(REPORT) == OLD


def test_a_report_need_not_tell_a_share(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({k: v for k, v in REPORT.items() if k != "shares"}))
    old = load_figures(path)
    assert old == Figures("jpeg", 128, 5_000.0, None)
    assert [change.figure for change in changes(old, OLD)] == ["images/s"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no such file: .*old.json"),
        ("not JSON", "old.json is no bench's report .*Expecting value"),
        ("[]", "old.json is no bench's report"),
        ('{"rungs": []}', "old.json is no bench's report"),
        (json.dumps({**REPORT, "storage": None, "rungs": 3}), "is no bench's report"),
        (json.dumps({**REPORT, "images_per_second": 0}), "images_per_second is 0"),
        (json.dumps({k: REPORT[k] for k in ("rungs", "storage")}), "images_per_second"),
    ],
)
def test_what_is_no_report_is_told_with_the_way_out(
    text: str | None, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=rf"{told}.*bench input-pipeline DATA --json"):
        load_figures(path)


def test_changes_are_new_by_old() -> None:
    found = changes(OLD, Figures("jpeg", 128, 4_000.0, 0.55))
    assert [change.to_json() for change in found] == [
        {"figure": "images/s", "old": 5_000.0, "new": 4_000.0, "ratio": 0.8},
        {
            "figure": "share of the limit",
            "old": 0.5,
            "new": 0.55,
            "ratio": pytest.approx(1.1),
        },
    ]


@pytest.mark.parametrize(
    ("storage", "batch_size", "told"),
    [
        ("raw", 128, "older report's storage is jpeg, this one's is raw"),
        ("jpeg", 64, "older report's batch size is 128, this one's is 64"),
    ],
)
def test_another_storage_or_batch_size_is_refused(
    storage: str, batch_size: int, told: str
) -> None:
    require_comparable(OLD, "jpeg", 128)
    with pytest.raises(ConfigError, match=told):
        require_comparable(OLD, storage, batch_size)


def slower(**figures: Any) -> str:
    with pytest.raises(AlexnetError) as raised:
        require_no_slower(changes(OLD, Figures("jpeg", 128, **figures)), 0.9)
    return str(raised.value)


def test_too_slow_is_told_and_whose_fault_it_is() -> None:
    told = slower(images_per_second=4_000.0, share=0.4)
    assert told.startswith("too slow: 4,000 images/s are 0.80 times the older report's")
    assert "5,000, and --fail-below is 0.9." in told
    assert "40% after 50%: the pipeline is what is slower" in told
    told = slower(images_per_second=4_000.0, share=0.49)
    assert "49% after 50%: the machine is what is slower" in told
    assert "share" not in slower(images_per_second=4_000.0, share=None)


@pytest.mark.parametrize("rate", [4_500.0, 4_501.0, 90_000.0])
def test_enough_passes(rate: float) -> None:
    require_no_slower(changes(OLD, Figures("jpeg", 128, rate, 0.1)), 0.9)
