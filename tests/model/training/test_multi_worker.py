"""The loss of another worker, told apart from other errors.

What workers agree on is tried with two processes in test_faults.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from alexnet.model.config import TrainConfig
from alexnet.model.training.hardware import Hardware, set_up_hardware
from alexnet.model.training.multi_worker import Wishes, agreement, require_all
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError

RUN = RunFolder(Path("runs/a b"))
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
def test_a_lost_worker_is_told(several: Hardware, error: Any) -> None:
    with pytest.raises(RunError, match="another worker has stopped") as told:
        require_all(several, RUN, error)
    assert "`alexnet fit --run 'runs/a b' --resume`" in str(told.value)


def test_other_errors_and_lone_workers_are_left_alone(several: Hardware) -> None:
    require_all(several, RUN, tf.errors.InternalError(None, None, "a bug"))
    lone = replace(several, kind="mirrored")
    require_all(lone, RUN, tf.errors.UnavailableError(None, None, CLOSED))


def test_one_worker_has_its_way() -> None:
    agree = agreement(set_up_hardware(TrainConfig()))
    # Asking costs it nothing.
    assert agree(Wishes(save=True, steps=9)) == Wishes(save=True, steps=1)
