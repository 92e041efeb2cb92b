"""What workers agree on, and the loss of one, told apart from other errors.

Real ones, in processes of their own, are in test_cluster and test_faults.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from alexnet.model.config import TrainConfig
from alexnet.model.training import multi_worker as module
from alexnet.model.training.hardware import Hardware, set_up_hardware
from alexnet.model.training.multi_worker import (
    Wishes,
    agreement,
    from_chief,
    loss_told,
    new_run,
    require_chiefs_plan,
)
from alexnet.model.training.plan import plan_training
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError
from tests.conftest import TINY_RUN

# As two processes on loopback gave it when one of them was killed.
CLOSED = (
    "Graph execution error:\n\nCollective ops is aborted by: Socket closed\n"
    "Additional GRPC error information from remote target /job:worker/replica:0"
)


@pytest.fixture
def several() -> Hardware:
    return replace(set_up_hardware(TrainConfig()), kind="multi-worker")


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.UnavailableError(None, None, "failed to connect"),
        tf.errors.InternalError(None, None, CLOSED),
    ],
)
def test_a_lost_worker_is_told(several: Hardware, error: Any, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a b")
    with pytest.raises(RunError, match="has stopped") as told, loss_told(several, run):
        raise error
    assert str(told.value).endswith("start all of them again.")
    run.path.mkdir()
    run.config_path.touch()
    with pytest.raises(RunError) as told, loss_told(several, run):
        raise error
    assert str(told.value).endswith(f"`alexnet fit --run '{run.path}' --resume`.")


def test_other_errors_and_lone_workers_are_left_alone(several: Hardware) -> None:
    with pytest.raises(tf.errors.InternalError), loss_told(several):
        raise tf.errors.InternalError(None, None, "a bug")
    lone = replace(several, kind="mirrored")
    with pytest.raises(tf.errors.UnavailableError), loss_told(lone):
        raise tf.errors.UnavailableError(None, None, CLOSED)


def test_one_worker_has_its_way() -> None:
    agree = agreement(set_up_hardware(TrainConfig()))
    # Asking costs it nothing.
    assert agree(Wishes(save=True, steps=9)) == Wishes(save=True, steps=1)
    assert from_chief(set_up_hardware(TrainConfig()), "a name") == "a name"


def test_what_the_chief_says_arrives_whole() -> None:
    """Among several replicas of this one process; the first is the chief's."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    hardware = replace(set_up_hardware(TrainConfig()), strategy=strategy)
    several = replace(hardware, kind="multi-worker")
    for text in ("", "runs/2026", "caf\u00e9 \U0001f408", "x" * 5000):
        assert from_chief(several, text) == text


def listen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a chief has said since."""
    said: list[str] = []

    def say(_: Hardware, text: str) -> str:
        said.append(text)
        return text

    monkeypatch.setattr(module, "from_chief", say)
    return said


def test_only_the_chief_makes_the_folder(
    several: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = RunFolder(tmp_path / "runs" / "planned")
    planned.path.mkdir(parents=True)
    (planned.path / "config.json").touch()
    said = listen(monkeypatch)
    with new_run(planned, several) as run:
        assert run.path.is_dir()
        assert (run.path.name, said) == ("planned-2", [str(run.path)])
    monkeypatch.setattr(module, "from_chief", lambda *_: str(tmp_path / "runs" / "x"))
    with new_run(planned, replace(several, is_chief=False)) as run:
        assert run.path == tmp_path / "runs" / "x"
        assert not run.path.exists()


def test_a_worker_that_was_started_otherwise_is_told(
    several: Hardware,
    train_records: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = RunFolder(tmp_path)
    chiefs = plan_training(train_records, run, TINY_RUN)
    said = listen(monkeypatch)
    require_chiefs_plan(several, chiefs)
    monkeypatch.setattr(module, "from_chief", lambda *_: said[0])
    elsewhere = replace(chiefs.config, data="/elsewhere", reader_reason="less memory")
    require_chiefs_plan(several, replace(chiefs, config=elsewhere))
    mine = plan_training(train_records, run, {**TINY_RUN, "batch_size": 10})
    with pytest.raises(RunError, match="other settings than the chief") as error:
        require_chiefs_plan(several, mine)
    assert ": batch_size 8 -> 10. Start all" in str(error.value)
    resumed = replace(chiefs, former=chiefs.config)
    with pytest.raises(RunError, match="resume False -> True"):
        require_chiefs_plan(several, resumed)
