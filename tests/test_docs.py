"""The README and the documentation: commands exist, paths lead somewhere, snippets run.

The blocks of a page run in its order, in one folder that holds a few photos. `sh` and
`python` blocks are run; a block with a title is written to a file of that name.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.cli.conftest import parse
from tests.conftest import smooth_photo
from tests.warm_command import warm_command

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
)
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)
# What makes a snippet fit for a few photos, and nothing else.
SMALLER = {
    r"batch_size=\d+": "batch_size=8",
    r"\bepochs=\d+": "epochs=1",
    # Timings of a twentieth of a second are noise.
    r"--fail-below 0\.9": "--fail-below 0",
}
# The command line as it stands, and behind it the settings that make it small.
COMMAND = """#!/bin/sh
case "$*" in fit* | sweep* | bench*) set -- "$@" --batch-size 8 --image-size 67 ;; esac
case "$*" in
*--network*) ;;
fit* | sweep* | "bench train-step"*) set -- "$@" --width 0.05 ;;
esac
case "$*" in
fit* | sweep*) set -- "$@" --epochs 1 ;;
bench*) set -- "$@" --seconds 0.05 ;;
esac
exec "${0%/bin/*}/warm" "$@"
"""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Language, title and text of a page's fenced blocks."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def command_lines(page: Path) -> list[str]:
    """The lines of its blocks that call the command, continued lines joined."""
    text = "\n".join(text for _, _, text in blocks(page)).replace("\\\n", " ")
    lines = (line.strip().removeprefix("$ ") for line in text.splitlines())
    return [line for line in lines if line.startswith("alexnet ")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_its_commands_exist(page: Path) -> None:
    for line in command_lines(page):
        command = re.split(r" [|>&]", line)[0]
        words = shlex.split(command, comments=True)[1:]
        try:
            parse([word for word in words if word != "--help"])
        except Exception as error:
            pytest.fail(f"{line!r}: {error!r}")


def test_the_readme_shows_commands() -> None:
    assert len(command_lines(ROOT / "README.md")) > 10


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_it_refers_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rooms = r"`((?:alexnet|pipeline|model|cli|benchmarks|tests|docs)/[\w/.-]+\.\w+)`"
    linked = re.findall(r"\]\(((?!https?:)[^)#]+)[)#]", text)
    paths = [ROOT / path for path in re.findall(rooms, text)]
    paths += [page.parent / path for path in linked]
    assert not [str(path) for path in paths if not path.exists()]


def test_every_dependency_is_explained() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.search(r"^dependencies = .*?^dev = ", settings, re.M | re.S)
    assert lists
    names = set(re.findall(r'"([a-z0-9-]+)[\[>]', lists[0])) - {"alexnet"}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert len(names) > 10
    assert not {name for name in names if f"`{name}`" not in page}


# Stand-ins for a cluster's programs: hosts are this one. The command begins a run and
# fails, as when another worker is lost; the next time it comes to its end.
STAND_INS = {
    "ssh": 'shift; sh -c "$1"',
    "sleep": "true",
    "srun": """shift; for INDEX in 0 1; do
        SLURM_PROCID=$INDEX "$@" || FAILED=1
    done; exit ${FAILED:-0}""",
    "scontrol": """case $1 in
        show) printf 'host1\\nhost2\\n' ;;
        requeue) echo "$2" >> requeued ;;
    esac""",
    "alexnet": """WORKER=$(echo "$TF_CONFIG" | cksum | cut -d' ' -f1)
    echo "$TF_CONFIG" > config-$WORKER
    echo "$@" >> calls-$WORKER
    [ "$(wc -l < calls-$WORKER)" = 2 ] && exit
    mkdir -p runs/cluster && touch runs/cluster/config.json
    exit 1""",
}


def run_with_stand_ins(folder: Path, script: str, **variables: str) -> int:
    """The exit code of a script of the guide to clusters, for two hosts."""
    for name, lines in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
        (folder / name).chmod(0o755)
    (folder / ".venv").mkdir(exist_ok=True)
    if not (folder / ".venv" / "bin").exists():
        (folder / ".venv" / "bin").symlink_to(folder)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-c", script, "train", "host1", "host2"]
    environment = {**os.environ, **variables, "PATH": path}
    return subprocess.run(command, cwd=folder, env=environment, timeout=300).returncode


def require_two_workers(folder: Path, *workers: str) -> None:
    """Each was told its place, and started again from the last state."""
    configs = [json.loads(file.read_text()) for file in folder.glob("config-*")]
    assert [config["cluster"] for config in configs] == [{"worker": list(workers)}] * 2
    assert sorted(config["task"]["index"] for config in configs) == [0, 1]
    for file in folder.glob("calls-*"):
        first, second = file.read_text().splitlines()
        assert second == f"{first.removesuffix(' --resume')} --resume"


def cluster_script(title: str) -> str:
    return next(b[2] for b in blocks(ROOT / "docs/guides/cluster.md") if b[1] == title)


def test_the_ssh_script_keeps_workers_up(tmp_path: Path) -> None:
    assert run_with_stand_ins(tmp_path, cluster_script("train.sh")) == 0
    require_two_workers(tmp_path, "host1:2222", "host2:2222")


def test_the_slurm_script_queues_itself_again_a_few_times(tmp_path: Path) -> None:
    script = cluster_script("train.sbatch")
    job = {"SLURM_JOB_NODELIST": "host[1-2]", "SLURM_JOB_ID": "7"}
    run_with_stand_ins(tmp_path, script, **job)
    assert (tmp_path / "requeued").read_text() == "7\n"
    assert run_with_stand_ins(tmp_path, script, **job, SLURM_RESTART_COUNT="1") == 0
    require_two_workers(tmp_path, "host1:2222", "host2:2222")
    for calls in tmp_path.glob("calls-*"):
        calls.unlink()
    assert run_with_stand_ins(tmp_path, script, **job, SLURM_RESTART_COUNT="20") == 1
    assert (tmp_path / "requeued").read_text() == "7\n"


def test_the_kubernetes_pods_know_their_place_and_go_on(tmp_path: Path) -> None:
    lines = cluster_script("train.yaml").partition("- |\n")[2].splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    body = takewhile(lambda line: line.startswith(" " * indent), lines)
    script = "\n".join(line[indent:] for line in body)
    for code in (1, 0):
        for index in "01":
            pod = {"JOB_COMPLETION_INDEX": index}
            assert run_with_stand_ins(tmp_path, script, **pod) == code
    require_two_workers(tmp_path, "alexnet-0.alexnet:2222", "alexnet-1.alexnet:2222")


def program(page: Path) -> str:
    """What a reader does with a page, as one Python program."""
    parts = ["import pathlib, subprocess"]
    for language, title, text in blocks(page):
        for written, tried in SMALLER.items():
            text = re.sub(written, tried, text)
        if title:
            parts.append(f"pathlib.Path({title!r}).write_text({text!r})")
        elif language == "sh":
            parts.append(f"subprocess.run(['sh', '-euxc', {text!r}], check=True)")
        elif language == "python":
            parts.append(text)
    return "\n".join(parts)


@pytest.fixture(scope="module")
def warm() -> Iterator[str]:
    with warm_command() as script:
        yield script


@pytest.fixture
def folder(tmp_path: Path, warm: str) -> Path:
    """A folder with photos of two classes in `train`, and some in `test1`."""
    for number in range(40):
        label = ("cat", "dog")[number % 2]
        path = tmp_path / "train" / f"{label}.{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        smooth_photo(number, 80, 70).save(path)
    (tmp_path / "test1").mkdir()
    for number in range(3):
        smooth_photo(number, 80, 70).save(tmp_path / "test1" / f"{number}.jpg")
    (tmp_path / "bin").mkdir()
    for file, script in (("bin/alexnet", COMMAND), ("warm", warm)):
        (tmp_path / file).write_text(script)
        (tmp_path / file).chmod(0o755)
    # The checkout itself on the path would have its rooms imported as `model`, too.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "alexnet").symlink_to(ROOT / "alexnet")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """The variables of a process that finds alexnet and its command there."""
    return {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "site"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


RUNNABLE = [page for page in PAGES if {"sh", "python"} & {b[0] for b in blocks(page)}]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_its_snippets_run(page: Path, folder: Path) -> None:
    (folder / "page.py").write_text(program(page))
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.slow
def test_the_notebook_runs_beside_a_model_of_the_users(folder: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    shutil.copy(ROOT / "docs" / "notebook.ipynb", folder)
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    for cell in notebook.cells:
        for written, tried in SMALLER.items():
            cell.source = re.sub(written, tried, cell.source)
    (folder / "model.py").write_text("NAME = 'my own'\n")
    mine = nbformat.v4.new_code_cell("import model\nassert model.NAME == 'my own'")
    notebook.cells.append(mine)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=resources
    ).execute(env=environment(folder))
    drawn = {
        cell.source.split("(")[0]: output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "<progress" in output.get("data", {}).get("text/html", "")
    }
    building, training = drawn.values()
    assert "40 of 40 images" in building
    assert "3 of 3 steps" in training and "validation accuracy" in training
