"""Whatever ends a training: it goes on as if nothing had happened.

The oracle is the same training unbroken: the same weights and figures, to the bit.
"""

from __future__ import annotations

import ast
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

import alexnet.model.training.checkpoints
from alexnet.model.training.checkpoints import Checkpoints
from alexnet.model.training.execution import Execution
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.metrics import Metrics
from alexnet.model.training.plan import plan_training
from alexnet.model.training.run import RunFolder
from alexnet.model.training.signals import Terminated
from alexnet.model.training.training import train
from alexnet.pipeline.build.build import build
from alexnet.pipeline.config import BuildConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.source.scan import scan
from tests.conftest import (
    BATCH,
    IMAGE_SIDE,
    NUM_TRAIN,
    TINY_RUN,
    TRAIN_SIDE,
    RecordedProgress,
    slow,
    smooth_photo,
    soak,
)
from tests.model import processes
from tests.model.runs import files_of, require_same, step_of

ROOT = Path(__file__).parents[3]
STEPS = NUM_TRAIN // BATCH
# TINY_RUN, as a user would say it.
WORDS = (
    f"--variant bn --width {1 / 16} --image-size {IMAGE_SIDE} --batch-size {BATCH}"
    " --epochs 2 --checkpoint-minutes 0"
).split()


class Cut(BaseException):
    """Here the process would have been killed."""


class Faulty(RecordedProgress):
    """A Progress after one of whose steps something happens."""

    def __init__(self, after: int, fault: Callable[[], None]) -> None:
        super().__init__()
        self.after, self.fault = after, fault

    def step(self, step: int, metrics: Metrics) -> None:
        super().step(step, metrics)
        if step == self.after:
            self.fault()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "a run")


def go_on(
    run: RunFolder,
    records: Path,
    progress: RecordedProgress | None = None,
    minutes: float = 10.0,
) -> None:
    """Begin the tiny run, or go on with it."""
    resume = run.exists()
    settings = {} if resume else TINY_RUN
    plan = plan_training(
        records, run, settings, resume=resume, checkpoint_minutes=minutes
    )
    train(plan, set_up_hardware(plan.config.train), progress or Faulty(0, lambda: None))


def send(number: int) -> Callable[[], None]:
    """What sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.slow
def test_signals_wait_for_a_state_that_is_gone_on_from(
    trained_run: RunFolder,
    train_records: Path,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C in the middle of an epoch, then SIGTERM in a validation."""
    with pytest.raises(KeyboardInterrupt) as stopped:
        go_on(run, train_records, Faulty(1, send(signal.SIGINT)))
    assert not isinstance(stopped.value, Terminated)
    assert (step_of(run), run.load_history()) == (2, [])

    validate = Execution.validate

    def terminated(*batches: Any) -> Metrics:
        send(signal.SIGTERM)()
        return validate(*batches)

    with monkeypatch.context() as patch, pytest.raises(Terminated):
        patch.setattr(Execution, "validate", terminated)
        go_on(run, train_records)
    assert (step_of(run), len(run.load_history())) == (STEPS, 1)

    progress = RecordedProgress()
    go_on(run, train_records, progress)
    assert progress.starts == [(STEPS, 2 * STEPS)]
    require_same(run, trained_run)


@contextmanager
def disk_that_fills(room_bytes: int) -> Iterator[Callable[[], None]]:
    """What, from when it is called to the block's end, lets no file grow beyond that.

    The same error reaches TensorFlow by the same way as that of a full disk.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
def test_a_run_survives_a_full_disk_and_cuts_at_the_worst_moments(
    trained_run: RunFolder,
    train_records: Path,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        disk_that_fills(10_000) as fill,  # less than a state takes
        pytest.raises(RunError, match="state after step 2 cannot be") as full,
    ):
        go_on(run, train_records, Faulty(1, fill), minutes=0)
    assert "File too large. The one before is kept: mend that" in str(full.value)
    assert f"`alexnet fit --run '{run.path}' --resume`" in str(full.value)
    assert files_of(run) == {"last/checkpoint", "last/ckpt-1"}

    def cut(*_: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch, pytest.raises(Cut):
        # Written whole, but not yet what counts; a killed process sweeps nothing.
        patch.setattr(alexnet.model.training.checkpoints, "_point_to", cut)
        patch.setattr(alexnet.model.training.checkpoints, "_sweep", lambda _: None)
        go_on(run, train_records, minutes=0)
    assert step_of(run) == 1
    assert files_of(run) == {"last/checkpoint", "last/ckpt-1", "last/ckpt-2"}

    write = Checkpoints._write

    def write_all_but(cut_at: str) -> None:
        def written(self: Checkpoints, checkpoint: Any, which: str) -> None:
            if which == cut_at:
                raise Cut
            write(self, checkpoint, which)

        with monkeypatch.context() as patch, pytest.raises(Cut):
            patch.setattr(Checkpoints, "_write", written)
            go_on(run, train_records)

    write_all_but("best")  # the epoch is in the history, and nothing is saved of it
    assert (step_of(run), len(run.load_history())) == (1, 1)
    assert files_of(run) == {"last/checkpoint", "last/ckpt-1"}
    write_all_but("last")
    assert (step_of(run), len(run.load_history())) == (1, 1)
    assert files_of(run) > {"best/ckpt-3"}

    go_on(run, train_records)
    require_same(run, trained_run)


@pytest.mark.slow
def test_killed_for_real(
    trained_run: RunFolder, train_records: Path, run: RunFolder
) -> None:
    words = ["fit", str(train_records), "--run", str(run.path), *WORDS]
    log = run.path.with_name("log")
    killed = processes.start(words, log, pause_seconds=0.2)
    processes.wait_for_step(run, 2, killed)
    killed.kill()
    assert processes.end(killed) == -signal.SIGKILL, log.read_text()
    assert step_of(run) in (2, 3)
    stray = run.checkpoints_path("last") / "ckpt-9_temp" / "part-00000-of-00001"
    stray.parent.mkdir()
    stray.write_bytes(b"half a state")
    go_on(run, train_records)
    require_same(run, trained_run)
    assert files_of(run) == {
        *("last/checkpoint", f"last/ckpt-{2 * STEPS}"),
        *(name for name in files_of(trained_run) if name.startswith("best")),
    }


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `train_records`, of pictures without classes to see, stored as `jpeg`."""
    photos = tmp_path_factory.mktemp("jpeg-photos")
    for number in range(40):
        picture = smooth_photo(number, TRAIN_SIDE, TRAIN_SIDE)
        picture.save(photos / f"{('cat', 'dog')[number % 2]}.{number}.png")
    records = tmp_path_factory.mktemp("jpegs") / "records"
    build(scan(photos), records, BuildConfig(side=TRAIN_SIDE, shards=2), workers=1)
    return records


@dataclass
class Trial:
    """A run that is started as often as it takes, alone or by two workers."""

    run: RunFolder
    records: Path
    options: list[str]
    workers: int = 1

    def start(self, pause_seconds: float = 0.0) -> list[BaseProcess]:
        words = ["fit", "--run", str(self.run.path), "--checkpoint-minutes", "0"]
        words += ["--resume"] if self.run.exists() else [str(self.records), *WORDS]
        words += [] if self.run.exists() else self.options
        environments: list[dict[str, str]] = [{}]
        if self.workers > 1:
            environments = processes.cluster(self.workers)
        return [
            processes.start(words, self.log(number), environment, pause_seconds)
            for number, environment in enumerate(environments)
        ]

    def log(self, number: int) -> Path:
        return self.run.path.with_name(f"{self.run.path.name}-{number}.log")

    def finish(self) -> None:
        for number, process in enumerate(self.start()):
            assert processes.end(process) == 0, self.log(number).read_text()

    def kill(self, step: int, delay_seconds: float, victims: Sequence[int]) -> None:
        """Start, and kill some workers a little after a state of `step` is saved."""
        started = self.start()
        processes.wait_for_step(self.run, step, started[0])
        time.sleep(delay_seconds)
        for victim in victims:
            started[victim].kill()
        for number, process in enumerate(started):
            code = processes.end(process)
            # It may have been done already, or killed; others notice and say so.
            assert code in (0, -signal.SIGKILL, 1), code
            if code == 1:
                assert "another worker has stopped" in self.log(number).read_text()


@pytest.mark.parametrize("moments", [slow(2), soak(4)])
@pytest.mark.parametrize(
    ("storage", "options", "workers"),
    [
        ("raw", "--reader mmap", 1),
        soak("raw", "--reader stream", 1),
        soak("jpeg", "--reader mmap --augment modern", 1),
        ("jpeg", "--reader stream --variant article", 1),
        ("raw", "--logical-cpus 2", 1),
        ("jpeg", "--strategy multi-worker", 2),
    ],
)
def test_killed_at_any_moment(
    train_records: Path,
    jpegs: Path,
    tmp_path: Path,
    storage: str,
    options: str,
    workers: int,
    moments: int,
) -> None:
    """In the start-up, and at so many moments around steps and saving."""
    rng = random.Random(options)
    records = {"raw": train_records, "jpeg": jpegs}[storage]
    words = options.split()
    whole = Trial(RunFolder(tmp_path / "whole"), records, words, workers)
    whole.finish()
    cut = Trial(RunFolder(tmp_path / "cut"), records, words, workers)
    everybody = range(workers)
    cut.kill(0, rng.uniform(0, 3), everybody)
    for step in sorted(rng.sample((1, 2, STEPS, STEPS + 1), moments)):
        somebody = rng.sample(everybody, rng.randint(1, workers))
        cut.kill(step, rng.uniform(0, 0.06), somebody)
    cut.finish()
    require_same(cut.run, whole.run)
    assert {name.split("/")[0] for name in files_of(cut.run)} == {"last", "best"}
    assert len(files_of(cut.run)) == 4


@pytest.mark.parametrize(
    ("options", "workers"),
    [slow("--strategy multi-worker", 2), soak("--logical-cpus 2", 1)],
)
def test_one_workers_sigterm_stops_and_saves_all(
    train_records: Path, tmp_path: Path, options: str, workers: int
) -> None:
    words = options.split()
    whole = Trial(RunFolder(tmp_path / "whole"), train_records, words, workers)
    whole.finish()
    cut = Trial(RunFolder(tmp_path / "cut"), train_records, words, workers)
    started = cut.start(pause_seconds=1)
    processes.wait_for_step(cut.run, 1, started[0])
    os.kill(int(started[-1].pid or 0), signal.SIGTERM)
    for number, process in enumerate(started):
        said = cut.log(number)
        assert processes.end(process) == 143, said.read_text()
        assert (
            said.read_text()
            .splitlines()[-1]
            .endswith(f"go on with `alexnet fit --run {cut.run.path} --resume`")
        )
    assert 1 < step_of(cut.run) < 2 * STEPS
    cut.finish()
    require_same(cut.run, whole.run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_second_signal_stops_at_once(
    train_records: Path, tmp_path: Path, number: int, code: int
) -> None:
    trial = Trial(RunFolder(tmp_path / "run"), train_records, [])
    (process,) = trial.start(pause_seconds=600)
    processes.wait_for_step(trial.run, 1, process)
    for _ in range(2):
        time.sleep(1)
        assert process.is_alive()
        os.kill(int(process.pid or 0), number)
    assert processes.end(process, 60) == code


def calls(path: Path) -> Iterator[tuple[str, set[str]]]:
    """What a source file calls, by its last name, and with which named arguments."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield name, {keyword.arg or "" for keyword in node.keywords}


def test_nothing_that_runs_what_a_file_says_is_used() -> None:
    """No pickles, no YAML objects, no Keras model files with Python in them."""
    sources = [
        path
        for room in ("pipeline", "model", "cli", "benchmarks")
        for path in (ROOT / room).rglob("*.py")
        # They read the formats of others, each in an environment of its own.
        if path.parts[-3:-1] != ("loaders", "scripts")
        # They read others' weights, and refuse all else: test_weights_file.
        and path.name not in ("torch_file.py", "weights_file.py")
        # It reads what this process wrote to a file that has no name.
        and path.name != "table.py"
    ]
    assert len(sources) > 50
    for path in sources:
        text = path.read_text()
        for word in ("pickle", "marshal", "shelve", "joblib", "yaml"):
            assert f"import {word}" not in text, path
        for name, arguments in calls(path):
            assert name not in ("eval", "exec", "load_model", "Lambda", "unsafe_load")
            assert not arguments & {"allow_pickle", "safe_mode", "custom_objects"}
