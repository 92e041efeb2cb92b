"""Older reports: which are read, what they are compared by, and when it is too slow."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from alexnet.benchmarks.config import BenchSettings
from alexnet.benchmarks.input_pipeline.compare import (
    Figures,
    changes,
    figures,
    load_figures,
    other_circumstances,
    require_comparable,
    require_no_slower,
    require_share,
)
from alexnet.pipeline.errors import AlexnetError, ConfigError, DataError
from tests.benchmarks.conftest import SETTINGS

REPORT = {
    **asdict(SETTINGS),
    "host": {"cpu": "EPYC", "cpus": 2},
    "versions": {"numpy": "1.26.4"},
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
CIRCUMSTANCES: dict[str, dict[str, Any]] = {
    "host": {"cpu": "EPYC", "cpus": 2},
    "versions": {"numpy": "1.26.4"},
}
OLD = Figures(asdict(SETTINGS), 5_000.0, 0.5, CIRCUMSTANCES)


def now(**figures: Any) -> Figures:
    return replace(OLD, **figures)


def test_the_share_is_that_of_the_hosts_last_rung() -> None:
    assert figures(REPORT) == OLD


def test_the_share_is_that_of_the_last_host_stage_that_has_one() -> None:
    """As of originals that are no JPEGs: their decoding has no limit."""
    shares = {"decode": {"limit": "disk read", "share": 0.3}, "augment": {"share": 0.9}}
    assert figures({**REPORT, "shares": shares}).share == 0.3


def test_a_report_need_not_tell_a_share(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({k: v for k, v in REPORT.items() if k != "shares"}))
    old = load_figures(path)
    assert old == now(share=None)
    assert [change.figure for change in changes(old, OLD)] == ["images/s"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no such file: .*old.json"),
        ("not JSON", "old.json is no bench's report .*Expecting value"),
        ("[]", "old.json is no bench's report"),
        ('{"rungs": []}', "old.json is no bench's report"),
        (json.dumps({**REPORT, "rungs": 3}), "is no bench's report"),
        (json.dumps({**REPORT, "host": 3}), "is no bench's report"),
        (json.dumps({**REPORT, "images_per_second": 0}), "images_per_second is 0"),
        (json.dumps({"rungs": REPORT["rungs"]}), "images_per_second"),
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
    found = changes(OLD, now(images_per_second=4_000.0, share=0.55))
    assert [change.to_json() for change in found] == [
        {"figure": "images/s", "old": 5_000.0, "new": 4_000.0, "ratio": 0.8},
        {
            "figure": "share of the limit",
            "old": 0.5,
            "new": 0.55,
            "ratio": pytest.approx(1.1),
        },
    ]


OTHERS = {
    "storage": ("raw", "storage jpeg (now raw)"),
    "side": (64, "side 256 (now 64)"),
    "resize": ("squash", "resize mode crop (now squash)"),
    "quality": (70, "quality 90 (now 70)"),
    "reader": ("stream", "reader mmap (now stream)"),
    "decode": ("planes", "decode rgb (now planes)"),
    "batch_size": (64, "batch size 128 (now 64)"),
    "ram_budget_bytes": (2**30, "RAM budget in bytes 4294967296 (now 1073741824)"),
    "augment": ("none", "augmentation paper (now none)"),
    "image_size": (131, "image size 227 (now 131)"),
    "precision": ("mixed_bfloat16", "precision float32 (now mixed_bfloat16)"),
}


def test_every_setting_has_to_agree() -> None:
    assert [*OTHERS] == [field.name for field in fields(BenchSettings)]
    require_comparable(OLD, SETTINGS)


@pytest.mark.parametrize("name", OTHERS)
def test_another_setting_is_refused_by_name(name: str) -> None:
    value, told = OTHERS[name]
    changed: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError) as error:
        require_comparable(OLD, replace(SETTINGS, **changed))
    assert f"it was measured with {told}. Measure with the same" in str(error.value)


def test_all_that_differs_and_all_that_is_lacking_is_named() -> None:
    told = {k: v for k, v in asdict(SETTINGS).items() if k not in ("augment", "side")}
    other = replace(SETTINGS, storage="raw", batch_size=64)
    with pytest.raises(ConfigError) as error:
        require_comparable(now(settings=told), other)
    assert (
        "it was measured with storage jpeg (now raw), batch size 128 (now 64), and it"
        " does not tell its side, augmentation. Measure" in str(error.value)
    )


def test_the_quality_goes_with_the_storage() -> None:
    other = replace(SETTINGS, storage="raw", quality=None)
    with pytest.raises(ConfigError, match=r"with storage jpeg \(now raw\)\. Measure"):
        require_comparable(OLD, other)


def test_a_report_of_before_is_refused_with_what_it_lacks() -> None:
    before = {name: REPORT[name] for name in ("storage", "reader", "batch_size")}
    old = figures({**before, "images_per_second": 1, "rungs": REPORT["rungs"]})
    with pytest.raises(ConfigError) as error:
        require_comparable(old, SETTINGS)
    assert (
        "cannot be compared with: it does not tell its side, resize mode, quality, RAM"
        " budget in bytes, augmentation, image size, precision." in str(error.value)
    )
    assert "alexnet bench input-pipeline DATA --json > FILE" in str(error.value)


def test_a_report_of_before_was_of_rgb() -> None:
    before = {name: value for name, value in REPORT.items() if name != "decode"}
    require_comparable(figures(before), SETTINGS)
    with pytest.raises(ConfigError, match=r"decode rgb \(now planes\)"):
        require_comparable(figures(before), replace(SETTINGS, decode="planes"))


def test_another_machine_and_other_versions_are_told() -> None:
    other = {"host": {"cpu": "Xeon", "cpus": 2}, "versions": {"numpy": "1.26.5"}}
    assert other_circumstances(OLD, now(circumstances=other)) == [
        "host cpu: EPYC before, Xeon now",
        "versions numpy: 1.26.4 before, 1.26.5 now",
    ]
    assert other_circumstances(OLD, OLD) == []
    unknown = now(circumstances={"host": {}, "versions": {}})
    assert "host cpus: unknown before, 2 now" in other_circumstances(unknown, OLD)


@pytest.mark.parametrize(("share", "least"), [(0.5, 0.5), (0.9, 0.7), (0.0, 0.0)])
def test_near_enough_to_the_limit_passes(share: float, least: float) -> None:
    require_share(now(share=share), least)


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.699, "reaches 0.699 of it, less than `fail_below_share=0.7`"),
        (None, "no stage"),
    ],
)
def test_too_far_from_the_limit_is_told(share: float | None, told: str) -> None:
    with pytest.raises(AlexnetError, match=told):
        require_share(now(share=share), 0.7)


def slower(**figures: Any) -> str:
    with pytest.raises(AlexnetError) as raised:
        require_no_slower(changes(OLD, now(**figures)), 0.9)
    return str(raised.value)


def test_too_slow_is_told_and_whose_fault_it_is() -> None:
    told = slower(images_per_second=4_000.0, share=0.4)
    assert told.startswith("too slow: 4,000 images/s are 0.80 times the older report's")
    assert "5,000, less than `fail_below=0.9`." in told
    assert "40% after 50%: the pipeline is what is slower" in told
    told = slower(images_per_second=4_000.0, share=0.49)
    assert "49% after 50%: the machine is what is slower" in told
    assert "share" not in slower(images_per_second=4_000.0, share=None)


@pytest.mark.parametrize("rate", [4_500.0, 4_501.0, 90_000.0])
def test_enough_passes(rate: float) -> None:
    require_no_slower(changes(OLD, now(images_per_second=rate, share=0.1)), 0.9)
