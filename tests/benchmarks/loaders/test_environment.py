"""Loaders' scripts: what one prints is delivered, and none outlives its delivery."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from alexnet.benchmarks.loaders import environment as module
from alexnet.benchmarks.loaders.environment import (
    ENVIRONMENTS,
    plan_script,
    require_environment,
    run_script,
)
from alexnet.benchmarks.measure import Deliveries
from alexnet.pipeline.config import StorageName
from alexnet.pipeline.errors import ConfigError
from alexnet.pipeline.machine import num_cpus
from alexnet.pipeline.read.opened_records import open_records
from tests.conftest import await_garbage

SCRIPTS = module.SCRIPTS
Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a script the loader `made-up`, whose environment is our own Python."""

    def made_up(script: str) -> None:
        (tmp_path / "made-up_loader.py").write_text(script)
        python = tmp_path / "made-up" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        (tmp_path / "made-up" / ".installed").touch()

    monkeypatch.setitem(ENVIRONMENTS, "made-up", "made-up")
    monkeypatch.setattr(module, "SCRIPTS", tmp_path)
    monkeypatch.setenv("ALEXNET_LOADERS", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return made_up


def run(script: str) -> Deliveries:
    return run_script("made-up", [sys.executable, "-c", script])


def is_running(process_id: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("storage", ["jpeg", "raw", "yuv420"])
def test_a_loader_is_given_the_photos_as_jpeg_squares(
    record_sets: dict[StorageName, Path],
    storage: StorageName,
    install: Install,
    tmp_path: Path,
) -> None:
    """Written once for all rounds, and gone when nothing needs them any more."""
    install(
        "import sys, pathlib\n"
        "folder, *options = sys.argv[1:]\n"
        "pathlib.Path(folder, 'options').write_text(' '.join(options))\n"
        "count = len(list(pathlib.Path(folder).glob('*.jpg')))\n"
        "while True: print(count, flush=True)\n"
    )
    timing = plan_script("made-up", open_records(record_sets[storage]), 9)
    for _ in range(2):
        deliveries = timing.start()
        assert [next(deliveries), next(deliveries)] == [18, 18]
        deliveries.close()
    (folder,) = tmp_path.glob("alexnet-loader-*")
    cpus = num_cpus()
    options = f"--loader made-up --side=16 --batch-size=9 --workers={cpus}"
    assert (folder / "options").read_text() == options
    photos = list(folder.glob("*.jpg"))
    assert {photo.name.partition(".")[0] for photo in photos} == {"0", "1"}
    for photo in photos:
        with Image.open(photo) as image:
            assert (image.format, image.size) == ("JPEG", (16, 16))
    del timing, deliveries
    assert await_garbage(lambda: not folder.exists())


def test_closing_lets_a_script_end_by_itself(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    deliveries = run(
        "try:\n"
        "    while True: print(8, flush=True)\n"
        f"except BrokenPipeError: open({str(ended)!r}, 'w')\n"
    )
    assert next(deliveries) == 8
    deliveries.close()
    assert ended.exists()


def test_closing_kills_a_script_that_hangs_and_its_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.1)
    deliveries = run(
        "import os, subprocess, sys, time\n"
        "worker = subprocess.Popen([sys.executable, '-c', 'import time;"
        " time.sleep(60)'])\n"
        "print(os.getpid(), worker.pid, sep='\\n', flush=True)\n"
        "time.sleep(60)\n"
    )
    processes = [int(next(deliveries)), int(next(deliveries))]
    assert all(map(is_running, processes))
    deliveries.close()
    deadline = time.monotonic() + 250
    while any(map(is_running, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_running, processes))


def test_a_crash_gives_the_reason_and_the_way_out() -> None:
    deliveries = run("print(8)\nraise RuntimeError('no turbo to be found')")
    assert next(deliveries) == 8
    with pytest.raises(
        ConfigError,
        match=r"made-up ended with exit code 1:.*no turbo to be found.*make loaders",
    ):
        next(deliveries)


def test_an_environment_that_is_not_set_up_gives_the_way_out(
    record_sets: dict[StorageName, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One whose installation broke off counts as none."""
    monkeypatch.setenv("ALEXNET_LOADERS", str(tmp_path))
    (tmp_path / "dali" / "bin").mkdir(parents=True)
    (tmp_path / "dali" / "bin" / "python").touch()
    with pytest.raises(ConfigError, match=f"dali needs .*{tmp_path}.*`make loaders`"):
        plan_script("dali", open_records(record_sets["jpeg"]), 8)
    (tmp_path / "dali" / ".installed").touch()
    assert require_environment("dali") == tmp_path / "dali" / "bin" / "python"


@pytest.mark.parametrize(
    ("storage", "batch_size", "message"),
    [
        ("original", 8, "sizes of their own.*`storage`"),
        ("jpeg", 19, "batch_size is 19; it needs at most 18"),
    ],
)
def test_photos_that_make_no_batch_are_refused(
    record_sets: dict[StorageName, Path],
    install: Install,
    storage: StorageName,
    batch_size: int,
    message: str,
) -> None:
    install("")
    with pytest.raises(ConfigError, match=message):
        plan_script("made-up", open_records(record_sets[storage]), batch_size)


def test_environments_are_looked_for_where_the_script_makes_them() -> None:
    assert Path(__file__).parents[3] / ".loaders" == module.FOLDER


@pytest.mark.parametrize("environment", sorted(set(ENVIRONMENTS.values())))
def test_every_environment_has_its_script_and_pins(environment: str) -> None:
    assert (SCRIPTS / f"{environment}_loader.py").is_file()
    pins = (SCRIPTS / f"requirements-{environment}.txt").read_text().splitlines()
    packages = [line for line in pins if line[0] not in "#-"]
    assert packages
    assert all("==" in package for package in packages)
    assert f"\nset_up {environment} " in (SCRIPTS / "setup.sh").read_text()


def delivered(batches: str, folder: Path) -> Deliveries:
    """What `common.deliver` prints of batches of a side of 4, two at a time."""
    script = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from common import *\n"
        "import numpy as np\n"
        f"def batches(task):\n    {batches}\n"
        "deliver(batches)\n"
    )
    command = [sys.executable, "-c", script, str(folder), "--loader", "made-up"]
    return run_script("made-up", [*command, "--side=4", "--batch-size=2"])


def test_a_script_prints_nothing_but_counts(tmp_path: Path) -> None:
    deliveries = delivered(
        "while True: print('noise'); yield np.zeros(task.batch_shape, np.uint8)",
        tmp_path,
    )
    assert [next(deliveries), next(deliveries)] == [2, 2]
    deliveries.close()


@pytest.mark.parametrize(
    ("batches", "reason"),
    [
        ("yield np.zeros(task.batch_shape)", r"float64.*not uint8 \(2, 4, 4, 3\)"),
        ("yield np.zeros([1, 4, 4, 3], np.uint8)", r"\(1, 4, 4, 3\).*not uint8"),
        ("yield from ()", "came to an end"),
    ],
)
def test_a_script_refuses_other_batches(
    batches: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=reason):
        next(delivered(batches, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_loader_that_is_set_up_delivers_whole_batches(
    name: str, record_sets: dict[StorageName, Path]
) -> None:
    """More of them than the photos make in one epoch, and in a second round."""
    try:
        require_environment(name)
    except ConfigError as missing:
        pytest.skip(str(missing))
    timing = plan_script(name, open_records(record_sets["jpeg"]), 8)
    for _ in range(2):
        deliveries = timing.start()
        assert [next(deliveries) for _ in range(5)] == [8] * 5
        deliveries.close()
