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
    "pipeline": (
        *("remote", "beam", "records", "source", "build", "verify", "augment"),
        *("service", "read"),
        "inspect",
    ),
    "model": ("network", "training", "results", "sweep", "report"),
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


def height(name: str) -> tuple[int, int]:
    """The places of a module's room and of its folder there; 0 is below them all."""
    room, folder = (*name.split(".")[1:], "", "")[:2]
    folders = FOLDERS.get(room, ())
    return (
        ROOMS.index(room) + 1 if room_of(name) in ROOMS else 0,
        folders.index(folder) + 1 if folder in folders else 0,
    )


TREES = {module: ast.parse(path.read_text()) for module, path in SOURCES.items()}
IMPORTS = {module: imports(ast.walk(tree)) for module, tree in TREES.items()}


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


def test_imports_run_downwards() -> None:
    """From room to room, and inside a room from folder to folder."""
    upwards = {
        (module, name)
        for module in SOURCES
        for name in IMPORTS[module]
        if name.startswith("tests") or height(name) > height(module)
    }
    assert not upwards


def test_every_folder_has_its_floor() -> None:
    for room, folders in FOLDERS.items():
        found = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
        assert found == set(folders)


def test_modules_do_not_import_one_another_in_circles() -> None:
    graph = {
        module: (names & set(SOURCES)) - {module} for module, names in IMPORTS.items()
    }
    assert any(graph.values())
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_heavy_imports_stand_where_the_list_allows_them() -> None:
    heavy = {
        path.relative_to(ROOT).as_posix()
        for module, path in SOURCES.items()
        if tops(imports(at_import(TREES[module]))) & HEAVY
    }
    assert not {path for path in heavy if not may_be_heavy(path)}


def test_one_module_imports_tensorflow_addons() -> None:
    users = [name for name in SOURCES if "tensorflow_addons" in tops(IMPORTS[name])]
    assert users == ["alexnet.pipeline.augment.resample"]


def test_no_assert_outside_the_tests() -> None:
    places = {
        (module, node.lineno)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    }
    assert not places


@pytest.mark.parametrize(
    "module",
    [
        "alexnet.pipeline.build.build",
        "alexnet.pipeline.build.encode_job",
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
    assert height("alexnet.pipeline.source.scan") == (1, 4)
    assert height("alexnet.pipeline.errors") == (1, 0) > height("numpy.random")
    assert height("alexnet.cli") == (4, 0)
    assert may_be_heavy("pipeline/read/stream.py") and not may_be_heavy(
        "pipeline/build/plan.py"
    )
    assert {"tensorflow", "numpy", "tensorflow_addons", "matplotlib"} <= HEAVY
