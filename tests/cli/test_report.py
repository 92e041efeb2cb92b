"""`alexnet report` and `alexnet explain`: files, JSON, and what is wrong usage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.conftest import alexnet, alexnet_json, failure
from tests.model.report.pages import read_page

Trained = tuple[Path, dict[str, Any]]


def test_report_of_a_run(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    values = alexnet_json("report", trained[0], trained[0], "--out", out)
    assert (values["report"], values["bytes"]) == (str(out), out.stat().st_size)
    (run,) = values["runs"]  # the same run is shown once
    assert run["run"] == str(trained[0]) and run["missing"] == []
    assert run["epoch"] == trained[1]["best"]["epoch"]
    assert "Calibration" in read_page(out).headings
    last = alexnet("report", trained[0], "--checkpoint", "last", "--out", out)
    assert last.code == 0 and f"written: {out} (" in last.err and last.out == ""


def test_report_of_no_run(tmp_path: Path) -> None:
    assert failure("report", tmp_path / "gone").startswith("no such folder: ")
    (tmp_path / "notes.json").write_text('{"rungs": 3}')
    message = failure("report", tmp_path / "notes.json", "--out", tmp_path / "x.html")
    assert "notes.json is no bench's report" in message
    ended = alexnet("report", tmp_path / "notes.json", tmp_path)
    assert ended.code == 2 and "name it alone" in ended.err


def test_explain_names_what_failed_and_does_the_rest(
    photos: Path, trained: Trained, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("no photo")
    photo = photos / "cat" / "00.jpg"
    ended = alexnet(
        "explain", trained[0], photo, broken, "--out", tmp_path / "out", "--json"
    )
    assert ended.code == 1
    good, bad = ended.json["images"]
    assert Path(good["picture"]).is_file() and good["class_name"] in ("cat", "dog")
    assert "not an image" in bad["error"] and f"{broken}: {bad['error']}" in ended.err
    assert (ended.json["checkpoint"], ended.json["layer"]) == ("best", "conv5")
    assert ended.err.splitlines()[-1].startswith("best checkpoint, epoch ")
