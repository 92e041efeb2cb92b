"""Processes of a build on Beam that are killed: run again, it gives the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig, StorageName
from alexnet.pipeline.source.scan import scan
from tests.conftest import SIDE
from tests.pipeline.beam.conftest import Cluster
from tests.pipeline.build.test_build import content
from tests.pipeline.build.test_build_faults import processes, wait_for_end

ROOT = Path(__file__).parents[3]
CONFIG = BuildConfig(side=SIDE, shards=3)
# Arguments: source, out, the file that says that it has happened, who is killed, and
# the options of the pipeline.
BUILD = f"""
import os, sys
from functools import partial
from pathlib import Path
import alexnet.pipeline.build.build as module
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.source.scan import scan
from tests.pipeline.beam.jobs import KillingJob

source, out, moment, who, *options = sys.argv[1:]
victim = os.getpid() if who == "build" else None
module.EncodeJob = partial(KillingJob, moment=Path(moment), victim=victim)
config = BuildConfig(side={SIDE}, shards=3)
module.build(scan(Path(source)), Path(out), config, workers=1, beam=options)
"""


def start(
    photos: Path, out: Path, who: str, options: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    """A build in which somebody is killed; told by its environment from others."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = [photos, out, moment(out), who]
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, *map(str, words), *options],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "ALEXNET_TEST": str(out)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def moment(out: Path) -> Path:
    """The file that is there once somebody was killed."""
    return out.with_name(f"{out.name} moment")


def wait_for_the_moment(out: Path) -> None:
    until = time.monotonic() + 250
    while not moment(out).exists():
        assert time.monotonic() < until, "nobody was killed"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_build_leaves_no_process_and_goes_on(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert start(photos, out, "build", ()).wait(250) == -signal.SIGKILL
    wait_for_end(out)
    assert not (out / "dataset.json").exists()
    build(scan(photos), out, CONFIG, beam=(), workers=1)
    assert content(out) == content(record_sets["jpeg"])


@pytest.mark.slow
def test_beams_own_runner_waits_for_a_killed_worker_until_it_is_stopped(
    photos: Path, record_sets: dict[StorageName, Path], tmp_path: Path
) -> None:
    out, options = tmp_path / "out", ("--direct_running_mode=multi_processing",)
    stopped = start(photos, out, "worker", options)
    wait_for_the_moment(out)
    time.sleep(1)
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(250)
    wait_for_end(out)
    build(scan(photos), out, CONFIG, beam=options, workers=1)
    assert content(out) == content(record_sets["jpeg"])


@pytest.mark.slow
@pytest.mark.parametrize("who", ["worker", "build"])
def test_on_a_cluster(
    photos: Path,
    record_sets: dict[StorageName, Path],
    cluster: Cluster,
    tmp_path: Path,
    who: str,
) -> None:
    """Workers there go on without the build, even while it is run again."""
    out = tmp_path / "out"
    killed = start(photos, out, who, cluster.options)
    wait_for_the_moment(out)
    if who == "worker" and cluster.replaces_workers:
        assert killed.wait(250) == 0
    else:
        # Beam's job server waits for ever for a worker that was killed.
        killed.send_signal(signal.SIGINT if who == "worker" else signal.SIGKILL)
        assert killed.wait(250)
        build(scan(photos), out, CONFIG, beam=cluster.options)
    assert {
        name: data
        for name, data in content(out).items()
        if not name.startswith(".build")  # of the first one's workers
    } == content(record_sets["jpeg"])
    assert processes(out) == []
