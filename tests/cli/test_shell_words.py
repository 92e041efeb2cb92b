"""The library speaks Python, and the command line turns that into its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from alexnet.cli import main
from alexnet.cli.shell_words import option_names, shell_words

ROOT = Path(__file__).parent.parent.parent
# Whole command lines, and other programs' options, stand in messages as they are.
COMMAND = re.compile(r"(alexnet|records|build|verify|estimate|bench|fit) |--runner=")


OPTIONS = option_names(get_command(main.app))


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("choose `batch_size=64` or less", "choose --batch-size 64 or less"),
        ("a smaller `ram_budget_bytes`", "a smaller --ram-budget"),
        ("use `reader='stream'`.", "use --reader stream."),
        ("with `overwrite=True`", "with --overwrite"),
        ("`xla=False`", "--no-xla"),
        ("stored as `original`", "stored as `original`"),
        ("`alexnet fit --run a --resume`", "`alexnet fit --run a --resume`"),
        ("no such folder: seed=21/run", "no such folder: seed=21/run"),
        ("`colour='red'`", "`colour='red'`"),
    ],
)
def test_settings_become_options_and_nothing_else_changes(
    python: str, shell: str
) -> None:
    assert shell_words(python, OPTIONS) == shell


def messages(node: ast.AST) -> Iterator[str]:
    """The texts in a module, each f-string as one; its docstrings are none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr | ast.Constant):
            yield ast.unparse(child)
        elif not (
            isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        ):
            yield from messages(child)


def test_messages_of_the_library_name_no_options() -> None:
    options = set(OPTIONS.values())
    speaking = [
        f"{path.relative_to(ROOT)}: {message}"
        for room in ("pipeline", "model", "benchmarks")
        for path in (ROOT / room).rglob("*.py")
        if "scripts" not in path.parts
        for message in messages(ast.parse(path.read_text()))
        if options & set(re.findall(r"--[a-z-]+", message))
        # A word of a command that is put together.
        and not re.fullmatch(r"'--[a-z-]+'", message)
        and not COMMAND.search(message)
    ]
    assert speaking == []
