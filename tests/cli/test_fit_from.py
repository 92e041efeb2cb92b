"""`alexnet fit --init-from ... --freeze ...`: its words, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alexnet.model.training import fit as fit_module
from tests.cli.conftest import alexnet


@pytest.mark.parametrize(
    ("words", "layers"),
    [
        ("--freeze conv1 conv2 --epochs 3", ["conv1", "conv2"]),
        ("--freeze conv1 --freeze conv2", ["conv1", "conv2"]),
        ("--freeze conv1", ["conv1"]),
    ],
)
def test_freeze_takes_several_names(
    monkeypatch: pytest.MonkeyPatch, words: str, layers: list[str]
) -> None:
    seen: list[Any] = []

    def remember(data: Path, **settings: Any) -> None:
        seen.append((data, settings["freeze"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "fit", remember)
    assert alexnet("fit", "others", *words.split()).code == 130
    assert seen == [(Path("others"), layers)]


def test_a_start_without_an_epoch(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = f"--init-from {trained[0]} --epochs 0 --batch-size 8 --run {run}".split()
    data = json.loads((trained[0] / "config.json").read_text())["data"]
    ended = alexnet("fit", data, *options, "--json")
    assert ended.code == 0, ended.err
    assert ended.json["epochs"] == 0
    assert f"weights of {trained[0]} (SHA-256 " in ended.err
    assert "begins anew" not in ended.err
    assert "holds its initial weights" in ended.err
