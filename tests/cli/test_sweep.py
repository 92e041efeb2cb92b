"""`alexnet sweep`: what may be varied, one real trial, and what is refused."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from alexnet.cli import sweep
from alexnet.cli.vary import parse_space
from alexnet.model.sweep.space import Choices, Range
from alexnet.model.training.run import RunFolder
from tests.cli.conftest import SMALL, alexnet, alexnet_json, failure, parse
from tests.conftest import picture_size

Built = tuple[Path, dict[str, Any]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning-rate=0.001:0.1:log", Range(0.001, 0.1, log=True)),
        ("learning_rate=0.001:0.1", Range(0.001, 0.1)),
        ("epochs=5:20", Range(5, 20)),
        ("batch-size=32,128", Choices((32, 128))),
        ("--batch-size=32, 32,", Choices((32,))),
        ("variant=bn,paper", Choices(("bn", "paper"))),
        ("mixed-precision=true,false", Choices((True, False))),
        ("xla=none,true", Choices((None, True))),
        ("patience=none,3", Choices((None, 3))),
        ("ram-budget=1GiB:4GiB", Range(2**30, 2**32)),
        ("network=own:small,own:large", Choices(("own:small", "own:large"))),
    ],
)
def test_an_option_is_varied_over_a_list_or_a_range(
    text: str, expected: Choices | Range
) -> None:
    command: Any = get_command(sweep.app)
    (values,) = parse_space([text], command.make_context("sweep", [])).values()
    assert values == expected
    if isinstance(expected, Range) and isinstance(values, Range):
        assert type(values.low) is type(expected.low)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--vary lerning-rate=0.1", "the nearest is learning-rate"),
        ("--vary num-classes=3", "`fit` has no such option to vary"),
        ("--vary freeze=conv1", "`fit` has no such option to vary"),
        ("--vary run=a,b", "`fit` has no such option"),
        ("--vary learning-rate", "has no values: write NAME=0.01,0.02 for a list"),
        ("--vary learning-rate=,", "has no values"),
        ("", "nothing is varied: --vary says what, write NAME=0.01,0.02"),
        ("--vary learning-rate=1:2:lg", "is no range: write"),
        ("--vary learning-rate=1:2:", "is no range"),
        ("--vary batch-size=8,many", "--vary batch-size=8,many: "),
        ("--vary variant=vgg", "'article', 'paper', 'bn'"),
        ("--vary seed=1 --vary seed=2", "--vary seed is given twice"),
        ("--vary seed=1,2 --seed 3", "--seed is varied as well"),
        ("--resume", "--resume needs --out"),
        ("--resume --out a --vary seed=1", "settings: leave --vary out"),
        ("records --resume --out a", "settings: leave DATA out"),
        ("--resume --out a --batch-size 8", "settings: leave --batch-size out"),
    ],
)
def test_wrong_usage_is_told(words: str, named: str) -> None:
    pytest.importorskip("optuna")
    ended = alexnet("sweep", *words.split())
    assert (ended.code, ended.out) == (2, "")
    assert named in ended.err


def test_what_does_not_fit_is_told(built: Built, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    words = ("sweep", built[0], *SMALL, "--out", tmp_path / "sweep")
    backwards = failure(*words, "--vary", "epochs=5:2")
    assert "epochs is '5:2'; it needs the lower end first" in backwards
    assert "jobs is 0" in failure(*words, "--vary", "epochs=1,2", "--jobs", 0)
    assert "no such folder" in failure("sweep", tmp_path / "gone", "--vary", "seed=1")
    again = failure("sweep", "--out", tmp_path / "gone", "--resume")
    assert f"no sweep in this folder: {tmp_path / 'gone'}" in again
    assert not list(tmp_path.iterdir())


def test_optuna_is_an_extra_that_the_error_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "`pip install 'alexnet[sweep]'`" in failure("sweep", "--vary", "seed=1")


@pytest.mark.slow
def test_a_sweep_trains_and_goes_on(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a trial of its own process, which `fit` itself would take on as well."""
    pytest.importorskip("optuna")
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root, prepend=os.pathsep)
    own = tmp_path / "own.toml"
    own.write_text("epochs = 1\ndropout = 0.25\n")
    out = tmp_path / "sweep"
    words = ("--config", own, "--vary", "learning-rate=0.01", "--out", out)
    found = alexnet_json("sweep", built[0], *SMALL, *words)
    (trial,) = found["trials"]
    assert found["sweep"] == str(out)
    assert trial["values"] == {"learning_rate": 0.01}
    assert trial["state"] == "complete"
    run = RunFolder(Path(trial["run"]))
    (epoch,) = run.load_history()
    accuracy = epoch.val_accuracy
    figures = {"epoch": 1, "loss": epoch.val_loss, "accuracy": accuracy}
    assert trial["validation"] == figures
    config = run.load_config()
    assert (config.train.learning_rate, config.network.dropout) == (0.01, 0.25)
    command = found["best"].pop("command")
    assert found["best"] == trial
    typed = parse(shlex.split(command)[1:])
    assert (typed["epochs"], typed["dropout"]) == (1, 0.25)
    assert (typed["learning_rate"], typed["batch_size"]) == (0.01, 8)
    assert picture_size(out / "sweep.png")[0] > 500
    (listed,) = alexnet_json("runs", out)["runs"]
    assert listed["best"] == {"epoch": 1, "accuracy": accuracy}

    ended = alexnet("sweep", "--out", out, "--resume")
    assert ended.code == 0
    assert f"alexnet fit {built[0]} " in ended.out
    assert json.loads((out / "sweep.json").read_text())["trials"] == 1
