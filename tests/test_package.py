"""The import name: what is installed, and that it stands beside a user's files."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.conftest import slow
from tests.test_architecture import imports, tops

ROOT = Path(__file__).parent.parent
ROOMS = ("pipeline", "model", "cli", "benchmarks")
# What a user's script does: both are imported, neither in the other's way.
USE = """
import alexnet.cli.main, alexnet.pipeline.errors
import model, pipeline
print(alexnet.pipeline.errors.__file__, model.NAME, sep="|")
"""


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    assert not done.returncode, done.stdout + done.stderr


def copy_checkout(folder: Path) -> Path:
    """A copy of what an installation is made of: a build leaves files behind."""
    for package in ("pip", "setuptools"):
        # Not find_spec, which runs setuptools' hook of distutils in this process.
        if not list(metadata.Distribution.discover(name=package)):
            pytest.skip(f"building a wheel without a network needs {package}")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in (*ROOMS, "alexnet"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=unwanted)
    return folder


def build_wheel(source: Path, out: Path) -> Path:
    """A wheel of a checkout or an sdist."""
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, source)
    (built,) = out.glob("*.whl")
    return built


def fresh_python(folder: Path) -> Path:
    """A new environment's Python, to which only alexnet's dependencies are known."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    # A path file in a folder that is named by one is not read, so an editable
    # installation of this checkout stays out.
    known = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(known))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    return build_wheel(checkout, checkout / "dist")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that the wheel is installed into."""
    python = fresh_python(tmp_path_factory.mktemp("installed"))
    pip("--python", python, "install", "-q", "--no-deps", wheel)
    return python


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A user's folder, whose files have the names of our rooms."""
    for room in ROOMS:
        (tmp_path / f"{room}.py").write_text(f"NAME = 'my {room}'\n")
    (tmp_path / "train.py").write_text(USE)
    return tmp_path


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
    assert shipped(ROOT / "model" / "report" / "templates") <= set(files)
    assert shipped(ROOT / "benchmarks" / "loaders" / "scripts") <= set(files)
    assert shipped(ROOT / "model" / "recipes") <= set(files)
    # The type of a file in the upper half of its Unix mode: 0o12 is a link.
    assert not [name for name in files if files[name].external_attr >> 28 == 0o12]


def require_both(python: Path, output: str) -> None:
    """Check that alexnet is the environment's, and `model` the user's."""
    file, name = output.split("|")
    assert Path(file).is_relative_to(python.parent.parent)
    assert name.strip() == "my model"


@pytest.mark.parametrize("python_path", [None, "."])
@pytest.mark.parametrize("way", ["script", *map(slow, ("module", "command", "stdin"))])
def test_it_is_used_beside_a_model_and_a_pipeline_of_the_users(
    installed: Path, work: Path, way: str, python_path: str | None
) -> None:
    words = {
        "script": ["train.py"],
        "module": ["-m", "train"],
        "command": ["-c", USE],
        "stdin": ["-"],
    }
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(installed), *words[way]],
        input=USE if way == "stdin" else None,
        cwd=work,
        env=environment | ({"PYTHONPATH": python_path} if python_path else {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    require_both(installed, done.stdout)


@pytest.mark.slow
def test_the_command_runs_beside_them(installed: Path, work: Path) -> None:
    done = subprocess.run(
        [installed.with_name("alexnet"), "--help"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "records" in done.stdout


def test_a_notebook_uses_it_beside_them(
    installed: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    kernel = work / "kernels" / "fresh" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    words = [str(installed), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": words, "display_name": "fresh"}))
    monkeypatch.setenv("JUPYTER_PATH", str(work))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    cell = nbformat.v4.new_code_cell(USE)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    resources = {"metadata": {"path": str(work)}}
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="fresh", resources=resources
    ).execute()
    require_both(installed, cell.outputs[0].text)


@pytest.mark.slow
def test_an_editable_installation_is_the_checkout(
    checkout: Path, work: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = fresh_python(tmp_path_factory.mktemp("editable"))
    options = ("-q", "--no-deps", "--no-build-isolation")
    pip("--python", python, "install", *options, "-e", checkout)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "train.py"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, name = done.stdout.split("|")
    assert Path(file).resolve().is_relative_to(checkout.resolve() / "pipeline")
    assert name.strip() == "my model"


@pytest.mark.slow
def test_an_sdist_makes_the_same_wheel(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    make = "import sys; from setuptools.build_meta import *; build_sdist(sys.argv[1])"
    command = [sys.executable, "-c", make, str(tmp_path)]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    again = build_wheel(sdist, tmp_path / "again")
    assert checksums(again) == checksums(wheel)


def checksums(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist()}


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


def test_the_public_names_are_there_and_cost_nothing() -> None:
    code = """
import sys, alexnet
assert not {"tensorflow", "numpy", "PIL"} & set(sys.modules), "heavy"
assert set(alexnet.__all__) <= set(dir(alexnet))
for name in alexnet.__all__:
    assert getattr(alexnet, name).__doc__, name
try:
    alexnet.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    assert done.stdout == "module 'alexnet' has no attribute 'nothing'\n"
