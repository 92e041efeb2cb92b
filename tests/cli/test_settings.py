"""Options are made of the dataclasses' fields: names, kinds, defaults, help texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from alexnet.cli.settings import takes_settings
from alexnet.pipeline.setting import Config, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Base(Config):
    batch_size: int = setting(8, "Images in a batch.", 1, 9)
    budget_bytes: int = setting(2**31, "Memory to take.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(Base):
    colour: Literal["red", "blue"] = setting("red", "Colour of the paint.")
    mixed: bool = setting(False, "Mix the paint.")
    xla: bool | None = setting(None, "Compile.")
    rate: float | None = setting(None, "Rate.")
    hidden: int = 3


def run(line: str, **taken: Any) -> tuple[dict[str, Any], str]:
    """The settings that a command gets, and what it prints."""
    values: dict[str, Any] = {}
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @takes_settings(Settings, **taken)
    def paint(out: str = "picture", **settings: Any) -> None:
        values.update(settings, out=out)

    done = CliRunner().invoke(app, line.split())
    assert done.exit_code == 0, done.output
    return values, done.output


DEFAULTS = {"batch_size": 8, "budget_bytes": 2**31, "colour": "red", "mixed": False}
DEFAULTS |= {"xla": None, "rate": None, "out": "picture"}


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("", {}),
        (
            "--batch-size 9 --colour blue --out a",
            {"batch_size": 9, "colour": "blue", "out": "a"},
        ),
        ("--no-mixed", {}),
        ("--budget 1.5GiB --rate 0.5", {"budget_bytes": 3 * 2**29, "rate": 0.5}),
        ("--mixed --no-xla", {"mixed": True, "xla": False}),
        ("--xla", {"xla": True}),
    ],
)
def test_a_setting_is_an_option_of_its_kind(line: str, changed: dict[str, Any]) -> None:
    assert run(line)[0] == DEFAULTS | changed


def test_help_has_every_setting_with_its_default() -> None:
    words = " ".join(run("--help")[1].split())
    assert "--batch-size <int> Images in a batch. [default: 8]" in words
    assert "--budget SIZE Memory to take. [default: 2.0 GiB]" in words
    assert "--colour <red|blue> Colour of the paint. [default: red]" in words
    assert "--mixed / --no-mixed Mix the paint." in words
    assert "hidden" not in words
    # A class's own settings stand before those that it shares with others.
    assert words.index("--colour") < words.index("--batch-size") < words.index("--out")


def test_a_command_may_take_some_of_them() -> None:
    assert run("--rate 2", only=("rate",))[0] == {"rate": 2.0, "out": "picture"}
