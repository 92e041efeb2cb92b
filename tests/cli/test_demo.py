"""`alexnet demo`: the command lines it shows are the ones it runs, and they work."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer

from alexnet.benchmarks import synthetic
from alexnet.cli.demo import EPOCHS, IMAGE_SIZE, PICTURE_SIDE, add_commands, demo_lines
from alexnet.cli.plan_messages import fit_command
from tests.cli.conftest import alexnet, alexnet_json, parse


def test_the_demos_lines_are_command_lines_and_paths_survive(tmp_path: Path) -> None:
    source, records, run = (tmp_path / f"it's a {name}" for name in ("s", "r", "u"))
    build, fit, evaluate, plot, show = map(parse, demo_lines(source, records, run))
    assert (build["source"], build["out"]) == (source, records)
    assert build["side"] == PICTURE_SIDE
    assert (show["data"], show["out"]) == (records, tmp_path / "sheet.png")
    assert (fit["data"], fit["run"]) == (records, run)
    assert (fit["image_size"], fit["epochs"]) == (IMAGE_SIZE, EPOCHS)
    assert fit["image_size"] <= build["side"]
    assert fit["overwrite"]  # a second demo runs as the first
    assert evaluate["run"] == plot["run"] == run


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo that draws nothing."""
    monkeypatch.setattr(synthetic, "write_shapes", lambda *_: None)


def run_demo(out: Path, codes: dict[str, int]) -> tuple[int, list[list[str]]]:
    """The exit code of a demo whose commands end with `codes`, and what it ran."""
    ran = []

    def run(line: list[str]) -> int:
        ran.append(line)
        return codes.get(line[0], 0)

    app = typer.Typer()
    app.callback()(lambda: None)
    add_commands(app, run)
    code = app(["demo", "--out", str(out)], standalone_mode=False)
    return code or 0, ran


@pytest.mark.usefixtures("no_pictures")
def test_the_demo_shows_what_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my demo"
    code, ran = run_demo(out, {})
    assert code == 0
    assert ran == demo_lines(out / "train", out / "records", out / "run")
    printed, said = capsys.readouterr()
    assert printed == ""
    lines = [line for line in said.splitlines() if line.startswith("$ alexnet ")]
    assert [shlex.split(line)[2:] for line in lines] == ran
    assert f"\n  {fit_command()}\n" in said


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("code", [1, 130])
def test_the_demo_ends_with_the_command_that_fails(
    code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, ran = run_demo(tmp_path, {"fit": code})
    assert ended == code
    assert [line[0] for line in ran] == ["records", "fit"]
    assert "Done" not in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_learns_the_shapes(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    ended = alexnet("demo", "--out", out)
    assert ended.code == 0, ended.err
    for name in (
        *("curves", "predictions", "mistakes", "confusion-validation", "filters"),
    ):
        assert (out / "run" / f"{name}.png").is_file()
    assert (out / "sheet.png").is_file()
    found = alexnet_json("evaluate", out / "run")
    assert len(found["class_names"]) == 3
    # Chance is 1/3.
    assert found["top1"] > 0.6
