"""What the scripts' command lines and reports have in common."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from alexnet.benchmarks.scripts.gpu.report import Report, names_of, read_settings, run
from alexnet.model.config import NetworkConfig
from alexnet.pipeline.errors import ConfigError


def test_settings_are_json_or_words() -> None:
    words = ["width=0.5", "augment=none", "xla=true", "seed=3", "path=a=b"]
    known = ["width", "augment", "xla", "seed", "path"]
    assert read_settings(words, known) == {
        "width": 0.5,
        "augment": "none",
        "xla": True,
        "seed": 3,
        "path": "a=b",
    }


def test_an_unknown_setting_is_told() -> None:
    known = names_of(NetworkConfig)
    assert "image_size" in known
    with pytest.raises(ConfigError, match="'colour'"):
        read_settings(["colour=red"], known)


def test_the_file_holds_every_row_so_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(Namespace(out=tmp_path / "report.json"))
    for number in range(2):
        report.add({"number": number})
        written = json.loads((tmp_path / "report.json").read_text())
        assert [row["number"] for row in written["rows"]] == [*range(number + 1)]
    assert report.finish() == 0
    assert capsys.readouterr().out == ""
    assert written["machine"]["num_cpus"] >= 1


def test_without_a_file_the_report_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report(Namespace(out=None))
    report.add({"number": 1})
    assert report.finish() == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [{"number": 1}]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"images_per_second": 1.0}, 0),
        ({"error": "OOM", "out_of_memory": True}, 0),
        ({"error": "no such folder", "out_of_memory": False}, 1),
    ],
)
def test_memory_that_ran_out_is_a_result(row: dict[str, Any], code: int) -> None:
    report = Report(Namespace(out=None))
    report.add(row)
    assert report.finish() == code


def test_a_known_error_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> int:
        raise ConfigError("width is 9; it needs less")

    assert run(refuse) == 1
    assert capsys.readouterr().err == "width is 9; it needs less\n"
