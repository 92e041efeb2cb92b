"""The rooms of the house: who may import whom, and what stays out of whose way.

Read from the sources, so that a lazy import inside a function counts as well.
"""

from __future__ import annotations

import ast
import fnmatch
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
# From the bottom to the top: a room imports itself and those below it.
ROOMS = ("pipeline", "model", "benchmarks", "cli")
# The folders of a room in the same order; its files outside of them lie below them all.
FOLDERS = {
    "pipeline": ("records", "source", "build", "verify", "read", "augment", "inspect"),
    "model": ("network", "training", "results"),
}
SOURCES = {
    ".".join(("alexnet", *path.relative_to(ROOT).with_suffix("").parts)): path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}


def settings() -> dict[str, Any]:
    """What pyproject.toml says to ruff's linter."""
    toml = importlib.import_module(
        "tomllib" if sys.version_info >= (3, 11) else "tomli"
    )
    found = toml.loads((ROOT / "pyproject.toml").read_text())
    lint: dict[str, Any] = found["tool"]["ruff"]["lint"]
    return lint


HEAVY = set(settings()["flake8-tidy-imports"]["banned-module-level-imports"])


def tree(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text())


def imports(nodes: Iterator[ast.AST]) -> set[str]:
    """The dotted names that import statements among `nodes` name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = str(node.module)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: no function bodies, no type checking."""
    for child in ast.iter_child_nodes(node):
        is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(
            child.test
        )
        if not is_typing and not isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        ):
            yield child
            yield from at_import(child)


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def room_of(name: str) -> str:
    """'pipeline' of 'alexnet.pipeline.build.build'; nothing of what is another's."""
    top, _, rest = name.partition(".")
    return rest.partition(".")[0] if top == "alexnet" else ""


def floor_of(name: str) -> int:
    """The place of a module's folder in its room, from 1; 0 outside of folders."""
    _, room, folder, *_ = name.split(".")
    folders = FOLDERS[room]
    return folders.index(folder) + 1 if folder in folders else 0


def braces(pattern: str) -> list[str]:
    """'a/{b,c}.py' as ['a/b.py', 'a/c.py']."""
    match = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern)
    if not match:
        return [pattern]
    start, middle, end = match.groups()
    return [start + name + end for name in middle.split(",")]


def may_be_heavy(path: str) -> bool:
    patterns = [
        pattern
        for key, rules in settings()["per-file-ignores"].items()
        if "TID253" in rules
        for pattern in braces(key)
    ]
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


@pytest.mark.parametrize("module", SOURCES)
def test_imports_run_one_way(module: str) -> None:
    above = ROOMS[ROOMS.index(room_of(module)) + 1 :]
    imported = imports(ast.walk(tree(module)))
    assert not {room_of(name) for name in imported} & set(above)
    assert "tests" not in tops(imported)


@pytest.mark.parametrize(
    "module", [name for name in SOURCES if room_of(name) in FOLDERS]
)
def test_folders_import_downwards(module: str) -> None:
    imported = imports(ast.walk(tree(module))) & set(SOURCES)
    neighbours = [name for name in imported if room_of(name) == room_of(module)]
    assert all(floor_of(name) <= floor_of(module) for name in neighbours)


def test_every_folder_has_its_floor() -> None:
    for room, folders in FOLDERS.items():
        found = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
        assert found == set(folders)


def test_modules_do_not_import_one_another_in_circles() -> None:
    graph = {
        module: (imports(ast.walk(tree(module))) & set(SOURCES)) - {module}
        for module in SOURCES
    }
    assert any(graph.values())
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("module", SOURCES)
def test_heavy_imports_stand_where_the_list_allows_them(module: str) -> None:
    if not may_be_heavy(SOURCES[module].relative_to(ROOT).as_posix()):
        assert not tops(imports(at_import(tree(module)))) & HEAVY


def test_one_module_imports_tensorflow_addons() -> None:
    users = [
        module
        for module in SOURCES
        if "tensorflow_addons" in tops(imports(ast.walk(tree(module))))
    ]
    assert users == ["alexnet.pipeline.augment.resample"]


@pytest.mark.parametrize("module", SOURCES)
def test_no_assert_outside_the_tests(module: str) -> None:
    lines = [n.lineno for n in ast.walk(tree(module)) if isinstance(n, ast.Assert)]
    assert lines == []


@pytest.mark.parametrize(
    "module",
    [
        "alexnet.pipeline.build.build",
        "alexnet.pipeline.build.workers",
        "alexnet.cli.main",
    ],
)
def test_what_starts_fast_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    loaded = done.stdout.split()
    assert module in loaded
    assert not set(loaded) & HEAVY


def test_the_checks_see_what_they_look_for() -> None:
    source = "import a.b\nif TYPE_CHECKING:\n import c\ndef f():\n from d import e\n"
    parsed = ast.parse(source + "try:\n import g\nexcept ImportError:\n pass\n")
    assert imports(ast.walk(parsed)) == {"a.b", "c", "d", "d.e", "g"}
    assert tops(imports(at_import(parsed))) == {"a", "g"}
    assert room_of("alexnet.model.a") == "model" and room_of("a.model") == ""
    assert floor_of("alexnet.pipeline.source.scan") == 2
    assert floor_of("alexnet.pipeline.errors") == 0
    assert may_be_heavy("pipeline/read/stream.py") and not may_be_heavy(
        "pipeline/build/plan.py"
    )
    assert {"tensorflow", "numpy", "tensorflow_addons", "matplotlib"} <= HEAVY
