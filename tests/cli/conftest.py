"""What the command's tests share: a command line run in process, records and a run."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from alexnet.cli.main import app, main

# The smallest that the network takes, from records a little larger.
STORED_SIDE, IMAGE_SIZE = 72, 67
SMALL = f"--width 0.05 --image-size {IMAGE_SIZE} --batch-size 8".split()


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stdout holds, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def alexnet(*words: object) -> Ended:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def alexnet_json(*words: object) -> Any:
    """The JSON object of a command line that must end well."""
    ended = alexnet(*words, "--json")
    assert ended.code == 0, ended.err
    return ended.json


def failure(*words: object) -> str:
    """The message of a command line that must end with a known error."""
    ended = alexnet(*words)
    assert ended.code == 1, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    # Lines before it tell what was found so far.
    return ended.err.partition("alexnet: ")[2].strip()


def parse(words: Sequence[str]) -> dict[str, Any]:
    """What the app understands by a command line, which is not run.

    Raises:
        KeyError: there is no such command.
        typer.exceptions.TyperException: an option or its value is wrong.
    """
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    parameters: dict[str, Any] = command.make_context(command.name, [*words]).params
    return parameters


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors are told as users see them, whatever the caller's environment says."""
    monkeypatch.delenv("ALEXNET_DEBUG", raising=False)
    # What a command says of others' logging ends with it.
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)


@pytest.fixture(scope="session")
def built(
    photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Records of 18 and 6 photos, and the JSON of the command that built them."""
    records = tmp_path_factory.mktemp("cli") / "records"
    words = ("records", "build", photos, "--out", records, "--workers", 1)
    return records, alexnet_json(*words, "--side", STORED_SIDE)


@pytest.fixture(scope="session")
def trained(
    built: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A run of 2 epochs on `built`, and the JSON of the command that trained it."""
    run = tmp_path_factory.mktemp("cli") / "run"
    return run, alexnet_json("fit", built[0], "--run", run, "--epochs", 2, *SMALL)
