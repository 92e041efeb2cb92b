"""`alexnet --version`, and completion as a shell asks for it."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from alexnet.cli.main import FORMER_NAMES, main
from alexnet.pipeline import versions
from tests.cli.conftest import alexnet

ROOT = Path(__file__).parents[2]
VERSION = (
    f"alexnet {version('alexnet')} (TensorFlow {version('tensorflow')},"
    f" Keras {version('keras')}, Python {platform.python_version()})\n"
)


FAIL_SHARE = "--fail-below-share"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The console script, of this tree, in a folder of its own."""
    script = tmp_path / "alexnet"
    code = "from alexnet.cli.main import run; run()"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$@\"\n")
    script.chmod(0o755)
    return script


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def test_version() -> None:
    ended = alexnet("--version")
    assert (ended.code, ended.out, ended.err) == (0, VERSION, "")
    assert "--version" in alexnet("--help").out


def test_version_is_told_without_importing_what_is_slow_to() -> None:
    code = (
        "import sys; from alexnet.cli.main import main; main(['--version']);"
        "print({'tensorflow', 'numpy'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.stdout == f"{VERSION}set()\n"


def test_versions_of_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "TENSORFLOWS", ("tensorflow-cpu-of-nobody", "numpy"))
    assert versions.versions()["tensorflow"] == version("numpy")
    monkeypatch.setattr(versions, "TENSORFLOWS", ("tensorflow-cpu-of-nobody",))
    assert versions.versions()["tensorflow"] == "not installed"


def completed(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash would offer where `line` ends, by typer's protocol."""
    monkeypatch.setenv("_ALEXNET_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    offered = io.StringIO()
    with contextlib.redirect_stdout(offered), pytest.raises(SystemExit) as end:
        main([])
    assert not end.value.code
    return offered.getvalue().split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("alexnet eval", ["evaluate"]),
        ("alexnet --ver", ["--version"]),
        ("alexnet records ", ["build", "show", "info", "estimate", "verify"]),
        ("alexnet records es", ["estimate"]),
        ("alexnet records build --over", ["--overwrite"]),
        ("alexnet records build --storage y", ["yuv420"]),
        ("alexnet bench input-pipeline --fail", ["--fail-below", FAIL_SHARE]),
        ("alexnet bench train-step --x", ["--xla"]),
        ("alexnet fit --reader ", ["auto", "stream", "mmap"]),
    ],
)
def test_commands_options_and_values_are_completed(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(offered) <= set(completed(line, monkeypatch))


@pytest.mark.parametrize(
    "line",
    ["alexnet records pl", "alexnet records build --fi", "alexnet fit --fres"],
)
def test_former_names_are_not_offered(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(FORMER_NAMES) == {"plan", "fit", "fresh"}
    assert completed(line, monkeypatch) == []


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_with_what_is_shown_for_it(command: Path) -> None:
    script = (
        'eval "$(alexnet --show-completion bash)";'
        "COMP_WORDS=(alexnet records bui); COMP_CWORD=2; _alexnet_completion alexnet;"
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{command.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment(PATH=path),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("build\n", "")


def test_completion_is_installed_where_the_shell_looks(
    command: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [command, "--install-completion", "bash"],
        env=environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "bash completion installed in" in done.stdout
    assert "alexnet" in (tmp_path / ".bashrc").read_text()
