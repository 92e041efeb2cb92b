"""Every command's help, exit codes, errors and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from alexnet.cli.main import app, main
from alexnet.pipeline.errors import DataError
from tests.cli.conftest import alexnet, failure, parse

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "numpy", "matplotlib", "PIL")
# Every help in one fresh process, which then says what it has imported.
HELPS = f"""
import contextlib, io, json, sys
from alexnet.cli.main import main
found = {{}}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main([*words, "--help"])
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    found[" ".join(words)] = [code, out.getvalue(), heavy]
print(json.dumps(found))
"""


def commands_below(
    command: Any, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group from `command` on, with the words that name it."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands_below(below, (*words, name))


TREE = dict(commands_below(get_command(app)))
COMMANDS = list(TREE)


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, text and heavy imports of every command's --help."""
    done = subprocess.run(
        [sys.executable, "-c", HELPS, json.dumps(COMMANDS)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    )
    found: dict[str, tuple[int, str, list[str]]] = json.loads(done.stdout)
    return found


def example_lines(text: str) -> list[str]:
    """The example lines at the end of a help text."""
    lines = [line.strip() for line in text.rstrip().splitlines()]
    assert "Examples:" in lines
    return lines[lines.index("Examples:") + 1 :]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_ends_with_examples_and_imports_nothing_heavy(
    words: tuple[str, ...], helps: dict[str, tuple[int, str, list[str]]]
) -> None:
    code, text, heavy = helps[" ".join(words)]
    assert (code, heavy) == (0, [])
    examples = example_lines(text)
    assert examples
    for line in examples:
        assert line.startswith(" ".join(("alexnet", *words)))
        parse(shlex.split(line)[1:])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_text_is_a_sentence_that_says_something(
    words: tuple[str, ...],
) -> None:
    command = TREE[words]
    texts = [option.help for option in command.params] + [command.help]
    for text in texts:
        assert re.match("(?!What|How|Whether|Of|As)[A-Z]", text), text
        assert text.rstrip().endswith("."), text


def test_all_promised_commands_are_there() -> None:
    promised = (
        "records build, records info, records show, fit, evaluate, predict, export,"
        " plot, summary, bench input-pipeline, demo"
    )
    assert set(promised.split(", ")) <= {" ".join(words) for words in COMMANDS}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("fit --speed 3", "--speed"),
        ("fit --variant vgg", "'article', 'paper', 'bn'"),
        ("fit --epochs many", "--epochs"),
        ("records build", "SOURCE"),
        ("records build photos --max-bad 2", "--max-bad"),
        ("records build photos --shard-size huge", "128MiB"),
        ("records build photos --workers 0", "--workers"),
        ("predict run", "IMAGE_OR_FOLDER"),
        ("records show records --augment paper --image-size 0", "--image-size"),
        ("records show records --seed 4294967296", "less than or equal to 4294967295"),
        ("fit --resume", "--resume needs --run"),
        ("fit --run run --resume --overwrite", "choose one"),
        ("records verify --repair", "--repair needs --source"),
        ("records verify --answers x", "--answers goes with --runner beam"),
        ("bench input-pipeline --fail-below 1", "--fail-below needs --compare"),
        ("evaluate run --split held-out", "--split"),
        ("tune", "'tune'"),
        ("records sort", "'sort'"),
        ("summary run extra", "extra"),
    ],
)
def test_wrong_usage_exits_2_and_shows_the_usage(line: str, named: str) -> None:
    ended = alexnet(*line.split())
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("Usage: alexnet")
    assert named in ended.err


@pytest.mark.parametrize("group", ["", "records", "bench"])
def test_a_group_without_a_command_shows_its_help(group: str) -> None:
    ended = alexnet(*group.split())
    assert ended.code == 2
    assert "Commands:" in ended.out + ended.err


def test_a_known_error_is_told_in_a_line_or_two() -> None:
    message = failure("records", "info", "gone")
    assert "gone" in message
    assert len(message.splitlines()) <= 2


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_DEBUG", "1")
    with pytest.raises(DataError):
        main(["records", "info", "gone"])


def test_the_systems_errors_are_told_in_a_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    out = tmp_path / "letter.txt" / "records"
    words = ["records", "build", str(photos), "--out", str(out), "--workers", "1"]
    message = failure(*words)
    assert message.startswith(str(out))
    assert "Not a directory" in message
    assert len(message.splitlines()) == 1
    monkeypatch.setenv("ALEXNET_DEBUG", "1")
    with pytest.raises(NotADirectoryError):
        main(words)


def test_the_place_of_a_failed_rename_is_the_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def renamed(folder: Path) -> None:
        raise IsADirectoryError(21, "Is a directory", ".a.partial", None, "a")

    monkeypatch.setattr("alexnet.pipeline.inspect.info.records_info", renamed)
    assert failure("records", "info").startswith("a: Is a directory. ")


def test_an_error_of_the_programs_own_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alexnet.pipeline.inspect.info.records_info", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["records", "info"])


def test_the_installed_script_keeps_to_the_codes(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("alexnet")
    done = subprocess.run(
        [script, "records", "build", "gone"],
        capture_output=True,
        cwd=tmp_path,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("alexnet: no such folder: gone. Expected ")
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.slow
def test_a_user_without_a_home_or_a_name(
    record_sets: dict[str, Path], tmp_path: Path
) -> None:
    """Matplotlib and Keras look for a home when they are imported."""
    code = """if True:
        import pwd, sys
        def nobody(uid): raise KeyError(uid)
        pwd.getpwuid = nobody
        from alexnet.cli.main import main
        network = "--width 0.05 --image-size 67".split()
        sys.exit(main(["records", "show", sys.argv[1]]) or main(["summary", *network]))
    """
    unset = ("HOME", "MPLCONFIGDIR", "TF_CPP_MIN_LOG_LEVEL")
    homeless = {k: v for k, v in os.environ.items() if k not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code, record_sets["raw"]],
        capture_output=True,
        cwd=tmp_path,
        env={**homeless, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "18 train images drawn: sheet.png\n"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_name_that_stdout_cannot_show_is_told_all_the_same() -> None:
    code = """if True:
        import alexnet.cli.main
        alexnet.cli.main.main = lambda: print("caf\\udce9.jpg ± 1 %")
        alexnet.cli.main.run()
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )
    assert done.stdout.split() == [rb"caf\udce9.jpg", rb"\xb1", b"1", b"%"]


@pytest.mark.parametrize(
    ("machine", "before", "after"),
    [
        ("x86_64", None, "1"),
        ("AMD64", None, "1"),
        ("x86_64", "0", "0"),
        ("aarch64", None, None),
    ],
)
def test_onednn_is_on_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, machine: str, before: str | None, after: str | None
) -> None:
    name = "TF_ENABLE_ONEDNN_OPTS"
    monkeypatch.setenv(name, before or "")  # put back afterwards, whatever main does
    if before is None:
        monkeypatch.delenv(name)
    monkeypatch.setattr("platform.machine", lambda: machine)
    alexnet("--version")
    assert os.environ.get(name) == after


@pytest.mark.parametrize("error", [KeyboardInterrupt, typer.Abort])
def test_ctrl_c_anywhere_exits_130(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path) -> None:
        raise error

    monkeypatch.setattr("alexnet.pipeline.inspect.info.records_info", interrupted)
    ended = alexnet("records", "info")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.strip() == "interrupted"
