"""Two TensorFlows in turn: the ratio is the other's, of the same round."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from alexnet.benchmarks.scripts import floors


def test_the_ratio_is_the_others_by_this_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine is half as fast in the second round."""
    speeds = iter((1.0, 1.0, 0.5, 0.5, 1.0, 1.0))

    def bench(python: str, what: str, *_: object) -> dict[str, object]:
        rate = 30.0 if python == sys.executable else 36.0
        if what == "input-pipeline":
            rate *= next(speeds)
            return {"rungs": [{"stage": "decode", "images_per_second": rate}]}
        return {"images_per_second": rate}

    monkeypatch.setattr(floors, "_bench", bench)
    assert floors.main(["records", "--other", "python3.13"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["what"] for row in rows] == [
        "decode",
        "train step, float32",
        "train step, half",
    ]
    decode = {"what": "decode", "here": 30, "other": 36, "ratio": 1.2, "spread": 0}
    assert rows[0] == pytest.approx(decode)


@pytest.mark.slow
def test_an_environment_that_fails_gives_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "gone"), "--other", sys.executable]
    assert floors.main(words) == 1
    assert "gone" in capsys.readouterr().err
