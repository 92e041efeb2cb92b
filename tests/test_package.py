"""The import name: what is installed, and that it stands beside a user's files."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_architecture import imports, tops

ROOT = Path(__file__).parent.parent
ROOMS = ("pipeline", "model", "cli", "benchmarks")


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    assert not done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built from a copy: a build leaves files behind."""
    for package in ("pip", "setuptools"):
        if not importlib.util.find_spec(package):
            pytest.skip(f"building a wheel without a network needs {package}")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in (*ROOMS, "alexnet"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=unwanted)
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, folder)
    (built,) = folder.glob("*.whl")
    return built


def shipped(folder: Path) -> set[str]:
    """The names in a wheel of the files of `folder`, a room."""
    return {
        f"alexnet/{path.relative_to(ROOT).as_posix()}"
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_has_the_rooms_below_alexnet_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {info.filename: info for info in archive.infolist()}
    assert {name.partition("/")[0].partition("-")[0] for name in files} == {"alexnet"}
    assert {"alexnet/__init__.py", "alexnet/py.typed"} <= set(files)
    by_hand = shipped(ROOT / "benchmarks" / "scripts")
    assert by_hand and not by_hand & set(files)
    for room in ROOMS:
        modules = {name for name in shipped(ROOT / room) if name.endswith(".py")}
        assert modules - by_hand <= set(files)
    assert shipped(ROOT / "benchmarks" / "loaders" / "scripts") <= set(files)
    # The type of a file in the upper half of its Unix mode: 0o12 is a link.
    assert not [name for name in files if files[name].external_attr >> 28 == 0o12]


def test_a_wheel_is_used_beside_a_model_and_a_pipeline_of_the_users(
    wheel: Path, tmp_path: Path
) -> None:
    installed, work = tmp_path / "installed", tmp_path / "work"
    pip("install", "-q", "--no-deps", "--target", installed, wheel)
    work.mkdir()
    for room in ROOMS:
        (work / f"{room}.py").write_text("raise SystemExit('the user's own')")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import alexnet.pipeline.errors as e, alexnet.cli.main; print(e.__file__)",
        ],
        cwd=work,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", str(installed)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == installed / "alexnet/pipeline/errors.py"


def test_no_module_is_imported_by_a_second_name() -> None:
    """As `pipeline.errors`, which the links of a checkout would make a second module.

    Some loaders' scripts import one another from their own folder, as scripts do.
    """
    sources = (
        path for room in (*ROOMS, "tests") for path in (ROOT / room).rglob("*.py")
    )
    assert not {
        path
        for path in sources
        if tops(imports(ast.walk(ast.parse(path.read_text())))) & set(ROOMS)
    }


def test_the_links_lead_to_the_rooms() -> None:
    for room in ROOMS:
        assert (ROOT / "alexnet" / room).readlink() == Path("..") / room


def test_a_checkout_without_links_says_so(tmp_path: Path) -> None:
    package = tmp_path / "alexnet"
    package.mkdir()
    shutil.copy(ROOT / "alexnet" / "__init__.py", package)
    (package / "pipeline").write_text("../pipeline")
    spec = importlib.util.spec_from_file_location("copy", package / "__init__.py")
    assert spec and spec.loader
    with pytest.raises(ImportError, match=r"no symbolic links.*core\.symlinks true"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
