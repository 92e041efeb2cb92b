"""Several workers that train together: what they agree on, and the loss of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from alexnet.model.training.hardware import Hardware
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError


class Wishes(NamedTuple):
    """What a worker wants to pause for after a step."""

    look: bool = False
    save: bool = False
    stop: bool = False
    # Until workers ask each other again, which has all of them wait for their devices.
    steps: float = 1


# Given what one worker wishes, what any of them wishes, and the mean of their steps.
Agreement = Callable[[Wishes], Wishes]


def agreement(hardware: Hardware) -> Agreement:
    """What tells every worker what any of them wishes; one alone has its way."""
    if hardware.kind != "multi-worker":
        return lambda wishes: wishes._replace(steps=1)
    strategy = hardware.strategy

    @tf.function
    def total(wishes: tf.Tensor) -> tf.Tensor:
        mine = strategy.run(lambda: wishes)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None)

    def agree(wishes: Wishes) -> Wishes:
        sums = total(tf.constant([*map(float, wishes)])).numpy().tolist()
        look, save, stop = (number > 0 for number in sums[:3])
        return Wishes(look, save, stop, max(1, round(sums[3] / hardware.num_replicas)))

    return agree


def require_all(hardware: Hardware, run: RunFolder, error: Exception) -> None:
    """Look whether an error means that another worker is gone.

    Raises:
        RunError: it does.
    """
    aborted = "Collective ops is aborted" in str(error)
    gone = aborted or isinstance(error, tf.errors.UnavailableError)
    if hardware.kind == "multi-worker" and gone:
        raise RunError(
            "another worker has stopped, or cannot be reached any more. What was saved"
            f" is kept: start all of them again with `{run.resume_command}`."
        ) from error
