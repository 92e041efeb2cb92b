"""Several workers that train together: what they agree on, and the loss of one."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from alexnet.model.training.hardware import Hardware
from alexnet.model.training.run import RunFolder
from alexnet.pipeline.errors import RunError

# Given what one worker wants, to save and to stop, what any of them wants.
Agreement = Callable[[bool, bool], tuple[bool, bool]]


def agreement(hardware: Hardware) -> Agreement | None:
    """What tells every worker what any of them wants; None with one worker."""
    if hardware.kind != "multi-worker":
        return None
    strategy = hardware.strategy

    @tf.function
    def total(wishes: tf.Tensor) -> tf.Tensor:
        mine = strategy.run(lambda: wishes)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None)

    def agree(save: bool, stop: bool) -> tuple[bool, bool]:
        saves, stops = total(tf.constant([save, stop], tf.float32)).numpy()
        return bool(saves), bool(stops)

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
