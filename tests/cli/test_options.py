"""Sizes, the options that were given, and the end of a help text."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from alexnet.cli.options import examples, given, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("500000", 500_000),
        ("0", 0),
        ("7B", 7),
        ("1kB", 1_000),
        ("1KiB", 1_024),
        ("128MiB", 134_217_728),
        ("128 mib", 134_217_728),
        ("3MB", 3_000_000),
        ("1.5GiB", 1_610_612_736),
        ("4gb", 4_000_000_000),
        (" 2TiB ", 2_199_023_255_552),
        ("1TB", 1_000_000_000_000),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "big", "MiB", "-1", "1e9", "1 2", "4Gi", "1,5GB"])
def test_what_is_no_size_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write it like 128MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", set()),
        ("--epochs 3", {"epochs"}),
        # The default's own value counts when it was typed.
        ("--epochs 20", {"epochs"}),
        ("--no-xla", {"xla"}),
        ("photos --epochs 1 --quiet", {"data", "epochs", "quiet"}),
    ],
)
def test_given_holds_what_was_typed(line: str, expected: set[str]) -> None:
    names = set()
    app = typer.Typer()

    @app.command()
    def fit(
        context: typer.Context,
        data: str = typer.Argument("records"),
        epochs: int = typer.Option(20, envvar="TEST_GIVEN_EPOCHS"),
        xla: bool = True,
        quiet: bool = False,
    ) -> None:
        names.update(given(context))

    environment = {} if "--epochs" in line else {"TEST_GIVEN_EPOCHS": "5"}
    done = CliRunner().invoke(app, line.split(), env=environment)
    assert done.exit_code == 0, done.output
    assert names == expected


def test_examples_stand_one_a_line() -> None:
    lines = examples("alexnet fit", "alexnet plot run").splitlines()
    # \b keeps the help from wrapping what follows.
    assert lines == ["\b", "Examples:", "  alexnet fit", "  alexnet plot run"]
