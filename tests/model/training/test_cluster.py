"""Workers of a cluster: one folder, one state, and going on when one of them is lost.

Processes on this machine. Each is started again by itself whenever it fails, as a
scheduler does, with what the guide to clusters has it run.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from alexnet.model.training.run import RunFolder
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.source.scan import scan
from tests.conftest import BATCH, IMAGE_SIDE, TRAIN_SIDE, slow, smooth_photo, soak
from tests.model import processes
from tests.model.runs import (
    Figures,
    figures_of,
    require_same,
    step_of,
)

TINY = (
    f"--variant bn --width {1 / 16} --image-size {IMAGE_SIDE} --batch-size {BATCH}"
).split()
# 204 train in 25 batches of 8, 68 are held out.
NUM_PHOTOS, STEPS = 272, 25


@dataclass
class Job:
    """A run's workers, each of which is started again until it has done its part."""

    run: RunFolder
    words: list[str]
    workers: int = 1
    codes: set[int | None] = field(default_factory=set)

    def __enter__(self) -> None:
        several = self.workers > 1
        self._environments = processes.cluster(self.workers) if several else [{}]
        self.processes = [self._start(number) for number in range(self.workers)]

    def _start(self, number: int) -> BaseProcess:
        words = ["fit", "--run", str(self.run.path), "--checkpoint-minutes", "0.02"]
        words += ["--resume"] if self.run.exists() else self.words
        environment = self._environments[number]
        # A pause, so that there is a state at least every 12 steps.
        return processes.start(words, self.log(number), environment, pause_seconds=0.1)

    def log(self, number: int) -> Path:
        return self.run.path.with_name(f"{self.run.path.name}-{number}.log")

    def weights(self) -> list[Figures]:
        paths = [self.log(number).with_suffix(".npz") for number in range(self.workers)]
        return [dict(np.load(path)) for path in paths]

    def tend(self, until_step: int | None = None) -> None:
        """Start again what fails, until a state is saved or all workers have ended."""
        end = time.monotonic() + processes.TIMEOUT_SECONDS
        while time.monotonic() < end:
            if until_step is not None and step_of(self.run) >= until_step:
                return
            for number, process in enumerate(self.processes):
                if not process.is_alive() and process.exitcode != 0:
                    self.codes.add(process.exitcode)
                    self.processes[number] = self._start(number)
            if all(process.exitcode == 0 for process in self.processes):
                return
            time.sleep(0.01)
        raise AssertionError([self.log(n).read_text() for n in range(self.workers)])

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            processes.end(process, 0)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = tmp_path_factory.mktemp("photos")
    for number in range(NUM_PHOTOS):
        is_dog = number % 2
        picture = smooth_photo(number, TRAIN_SIDE, TRAIN_SIDE)
        picture = picture.point(lambda level, dog=is_dog: level // 2 + 120 * dog)
        picture.save(photos / f"{('cat', 'dog')[is_dog]}.{number}.png")
    folder = tmp_path_factory.mktemp("records") / "records"
    build(scan(photos), folder, BuildConfig(storage="raw", side=TRAIN_SIDE), workers=1)
    return folder


def require_equal(weights: list[Figures], rtol: float = 0.0, atol: float = 0.0) -> None:
    first, *others = weights
    for other in others:
        assert other.keys() == first.keys()
        for name in first:
            np.testing.assert_allclose(
                other[name], first[name], rtol, atol, err_msg=name
            )


def learned(run: RunFolder) -> Figures:
    """Training losses and weights, without what a norm has seen of variances.

    Replicas together divide by n, one device by n - 1, and validation goes by it.
    """
    figures = figures_of(run)
    kept = {name: value for name, value in figures.items() if "moving_" not in name}
    return {**kept, "losses": figures["losses"][:, 0]}


@pytest.mark.slow
def test_two_workers_without_a_folder_agree_on_one(
    train_records: Path, tmp_path: Path
) -> None:
    words = ["fit", str(train_records), *TINY, "--epochs", "1"]
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    started = [
        processes.start(words, log, environment, folder=tmp_path)
        for log, environment in zip(logs, processes.cluster(2), strict=True)
    ]
    for process, log in zip(started, logs, strict=True):
        assert processes.end(process) == 0, log.read_text()
    (run,) = (tmp_path / "runs").iterdir()
    for log in logs:
        assert f"run folder runs/{run.name}" in log.read_text()
    assert {path.name for path in run.iterdir()} == {
        *("checkpoints", "config.json", "curves.png", "history.csv", "logs")
    }
    require_equal([dict(np.load(log.with_suffix(".npz"))) for log in logs])


@pytest.mark.parametrize(("workers", "epochs"), [slow(2, 4), soak(4, 8)])
def test_workers_survive_what_befalls_them(
    records: Path, tmp_path: Path, workers: int, epochs: int
) -> None:
    """One is killed, one is told to go, and the chief is killed; nobody is asked."""
    steps = epochs * STEPS
    words = [str(records), *TINY, "--epochs", str(epochs), "--learning-rate", "0.001"]
    one = Job(RunFolder(tmp_path / "one"), words)
    with one:
        one.tend()
    whole = Job(RunFolder(tmp_path / "whole"), words, workers)
    with whole:
        whole.tend()
    cut = Job(RunFolder(tmp_path / "cut"), words, workers)
    with cut:
        for victim, number in [
            (workers // 2, signal.SIGKILL),
            (1, signal.SIGTERM),
            (0, signal.SIGKILL),
        ]:
            cut.tend(until_step=step_of(cut.run) + steps // 5)  # past the former loss
            os.kill(int(cut.processes[victim].pid or 0), number)
        cut.tend()
    assert step_of(whole.run) == steps
    assert (one.codes, whole.codes) == (set(), set())
    # Killed, told that another was, told to save and go.
    assert cut.codes == {-signal.SIGKILL, 1, 143}
    require_equal(whole.weights())
    require_equal(cut.weights())
    require_same(cut.run, whole.run)
    # At such a rate what rounding differs by does not grow.
    require_equal([learned(whole.run), learned(one.run)], rtol=2e-3, atol=1e-5)
