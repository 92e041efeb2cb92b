"""What is chosen for which machine, and that replicas train what one device trains.

A strategy lives in a process of its own: the CPU can be split only before TensorFlow
starts, and several strategies in one process disturb each other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from alexnet.model.config import TrainConfig
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import ConfigError, RunError
from tests.conftest import TINY_RUN
from tests.model.processes import cluster
from tests.model.runs import Figures, figures_of, require_close

ROOT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 200
# Trains as asked, and saves the weights that this process has in the end.
TRAIN = """
import json, os, sys
asked = json.loads(sys.argv[1])
from pathlib import Path
import numpy as np
from alexnet.model.training import training
from alexnet.model.training.hardware import set_up_hardware
from alexnet.model.training.plan import plan_training
from alexnet.model.training.run import RunFolder
from tests.conftest import RecordedProgress  # which clears TF_CONFIG
from tests.model.runs import named_weights

os.environ.update(asked["environment"])
made, make_classifier = [], training.make_classifier
def remember(*args):
    made.append(make_classifier(*args))
    return made[-1]
training.make_classifier = remember

run = RunFolder(Path(asked["run"]))
settings, resume = asked["settings"], asked["resume"]
plan = plan_training(Path(asked["data"]), run, settings, resume=resume)
hardware = set_up_hardware(plan.config.train)
assert hardware.num_replicas == asked["replicas"]
report = training.train(plan, hardware, RecordedProgress())
losses = [[record.loss, record.val_loss] for record in report.history]
weights = named_weights(made[0].network)
np.savez(asked["saved"], losses=losses, **weights)
"""


@pytest.fixture(autouse=True)
def _policy() -> Iterator[None]:
    yield
    keras.mixed_precision.set_global_policy("float32")


def test_a_plain_machine() -> None:
    hardware = set_up_hardware(TrainConfig())
    assert hardware.num_replicas == 1
    assert hardware.copy_device is None
    assert hardware.is_chief
    assert not hardware.xla
    assert hardware.describe() == "CPU, strategy none, 1 replica, float32, no XLA"
    assert keras.mixed_precision.global_policy().name == "float32"


def test_half_precision_and_xla_on_a_cpu() -> None:
    hardware = set_up_hardware(TrainConfig(mixed_precision=True, xla=True))
    assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    assert hardware.policy == "mixed_bfloat16"
    assert hardware.xla


def test_half_precision_and_xla_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = []
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: [f"one {kind}"]
    )
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda *args: grown.append(args)
    )
    hardware = set_up_hardware(TrainConfig(mixed_precision=True))
    assert hardware.describe() == "1 GPU, strategy none, 1 replica, mixed_float16, XLA"
    assert hardware.copy_device == "/GPU:0"
    assert grown == [("one GPU", True)]
    assert not set_up_hardware(TrainConfig(xla=False)).xla


def test_a_cpu_in_use_cannot_be_split() -> None:
    assert len(tf.config.list_logical_devices("CPU")) == 1
    with pytest.raises(RunError, match="the CPU cannot be split any more"):
        set_up_hardware(TrainConfig(logical_cpus=3))


def test_multi_worker_needs_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="needs TF_CONFIG") as error:
        set_up_hardware(TrainConfig(strategy="multi-worker"))
    # The example in the text can be copied.
    text = str(error.value)
    assert set(json.loads(text[text.index("{") :])) == {"cluster", "task"}


@pytest.mark.parametrize(
    "text", ["{", "[1]", "null", '{"cluster": 3}', '{"task": ["worker"]}']
)
def test_a_cluster_that_makes_no_sense_is_told(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="TF_CONFIG in the environment is ") as error:
        set_up_hardware(TrainConfig())
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("jobs", "task", "is_chief"),
    [
        (["worker"], ("worker", 0), True),
        (["worker"], ("worker", 1), False),
        (["chief", "worker"], ("chief", 0), True),
        (["chief", "worker"], ("worker", 0), False),
    ],
)
@pytest.mark.parametrize("strategy", ["auto", "multi-worker"])
def test_one_worker_is_the_chief(
    monkeypatch: pytest.MonkeyPatch,
    jobs: list[str],
    task: tuple[str, int],
    is_chief: bool,
    strategy: Any,
) -> None:
    cluster = {
        "cluster": {job: ["a:1", "b:1"] for job in jobs},
        "task": {"type": task[0], "index": task[1]},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", tf.distribute.get_strategy
    )
    hardware = set_up_hardware(TrainConfig(strategy=strategy))
    assert hardware.kind == "multi-worker"
    assert hardware.is_chief is is_chief


def train_in_processes(
    data: Path,
    run: Path,
    settings: dict[str, Any],
    environments: Sequence[dict[str, str]] = ({},),
    replicas: int = 1,
    resume: bool = False,
) -> list[Figures]:
    """The losses and final weights of a process for each of `environments`."""
    started, saved = [], []
    for number, environment in enumerate(environments):
        saved.append(run.with_name(f"{run.name}-{number}.npz"))
        asked = {
            "data": str(data),
            "run": str(run),
            "settings": settings,
            "environment": environment,
            "replicas": replicas,
            "resume": resume,
            "saved": str(saved[-1]),
        }
        command = [sys.executable, "-c", TRAIN, json.dumps(asked)]
        started.append(
            subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        )
    try:
        for process in started:
            _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in started:
            process.kill()
    return [dict(np.load(path)) for path in saved]


@pytest.mark.slow
def test_two_replicas_are_one(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    settings = {**TINY_RUN, "logical_cpus": 2}
    (found,) = train_in_processes(train_records, tmp_path / "run", settings, replicas=2)
    require_close(found, figures_of(trained_run))


@pytest.mark.slow
def test_two_replicas_are_one_in_the_articles_network(
    train_records: Path, tmp_path: Path
) -> None:
    settings = {**TINY_RUN, "variant": "article"}
    (one,) = train_in_processes(train_records, tmp_path / "one", settings)
    settings |= {"strategy": "mirrored", "logical_cpus": 2}
    (two,) = train_in_processes(train_records, tmp_path / "two", settings, replicas=2)
    require_close(two, one)


@pytest.mark.slow
def test_two_replicas_follow_the_recipe_of_one(
    train_records: Path, tmp_path: Path
) -> None:
    """In parts, averaged and clipped; without batch norm, which sees parts alone."""
    settings = {
        **TINY_RUN,
        **{"variant": "paper", "optimizer": "lamb", "learning_rate": 0.005},
        **{"accumulate": 2, "ema": 0.9, "clip_norm": 0.5, "label_smoothing": 0.1},
    }
    (one,) = train_in_processes(train_records, tmp_path / "one", settings)
    settings |= {"strategy": "mirrored", "logical_cpus": 2}
    (two,) = train_in_processes(train_records, tmp_path / "two", settings, replicas=2)
    require_close(two, one)


TWO_NETWORKS = """
import sys
from pathlib import Path
from alexnet.model.training.fit import fit
from tests.conftest import TINY_RUN

records, runs = map(Path, sys.argv[1:])
for width in (1 / 16, 1 / 8):
    settings = {**TINY_RUN, "epochs": 1, "width": width, "logical_cpus": 2}
    fit(records, run=runs / str(width), **settings)
"""


@pytest.mark.slow
def test_replicas_of_a_second_network_are_not_taken_for_the_firsts(
    train_records: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", TWO_NETWORKS, str(train_records), str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=TIMEOUT_SECONDS)


@pytest.mark.slow
def test_two_workers_are_one_and_resume(
    trained_run: RunFolder, train_records: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "pair")
    for epochs in (1, 2):
        chief, other = train_in_processes(
            train_records,
            run.path,
            {**TINY_RUN, "epochs": epochs, "decay_epochs": 2},
            cluster(2),
            replicas=2,
            resume=epochs == 2,
        )
        assert len(run.load_history()) == epochs
        # One process has written: a second one's would lie beside these.
        assert len(list((run.logs_path / "train").iterdir())) == epochs
        kept = {path.name for path in run.checkpoints_path("last").parent.iterdir()}
        assert kept == {"last", "best"}
        for name in chief.keys() - {"losses"}:
            np.testing.assert_array_equal(chief[name], other[name], err_msg=name)
    require_close(chief, figures_of(trained_run))
