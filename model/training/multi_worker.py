"""Several workers that train together: their agreements, and the loss of one.

The chief, worker 0, alone writes the run folder, and says what is in it: two machines
may see a shared file system as it was at different moments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from alexnet.model.training.hardware import Hardware
from alexnet.model.training.plan import TrainPlan
from alexnet.model.training.run import RunFolder, new_folder
from alexnet.model.training.same_run import list_differences
from alexnet.pipeline.errors import RunError


class Wishes(NamedTuple):
    """The reasons for which a worker wants to pause after a step."""

    look: bool = False
    save: bool = False
    stop: bool = False
    # Steps until workers ask each other again, for which all wait for their devices.
    steps: float = 1


# Takes one worker's wishes, returns those of any worker, and the mean of their steps.
Agreement = Callable[[Wishes], Wishes]


def agreement(hardware: Hardware) -> Agreement:
    """Return the function that combines workers' wishes; one alone keeps its own."""
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


def part(agree: Agreement) -> None:
    """Take part in one more agreement after the last, before leaving.

    A worker may be done with an agreement while others still fetch its part of it, and
    they fail if it ends just then. This additional one may fail, as nobody needs it: a
    worker that takes part in it is done with the last.
    """
    with suppress(tf.errors.OpError, RuntimeError):
        agree(Wishes())


def from_chief(hardware: Hardware, text: str) -> str:
    """Return the chief's text at every worker; one alone keeps its own.

    Raises:
        RunError: another worker is gone.
    """
    if hardware.kind != "multi-worker":
        return text
    letters = list(text.encode()) if hardware.is_chief else []
    with loss_told(hardware):
        (length,) = _from_chief(hardware, [len(letters)])
        told = _from_chief(hardware, letters or [0] * length) if length else []
    return bytes(told).decode()


def _from_chief(hardware: Hardware, numbers: list[int]) -> list[int]:
    """The chief's numbers, whole and below 2 ** 24, at every worker."""
    strategy = hardware.strategy

    @tf.function
    def first(mine: tf.Tensor) -> tf.Tensor:
        def masked() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, 0)  # the chief's
            return tf.where(is_first, mine, tf.zeros_like(mine))

        total = tf.distribute.ReduceOp.SUM
        return strategy.reduce(total, strategy.run(masked), axis=None)

    found: list[float] = first(tf.constant(numbers, tf.float32)).numpy().tolist()
    return list(map(int, found))


def require_chiefs_plan(hardware: Hardware, plan: TrainPlan) -> None:
    """Check that a worker was started as the chief was, on the same records.

    Raises:
        RunError: it was not, or another worker is gone.
    """
    settings = {**asdict(plan.config), "resume": plan.resume}
    mine = json.loads(json.dumps(settings))
    chiefs = json.loads(from_chief(hardware, json.dumps(mine)))
    mine["reader_reason"] = chiefs["reader_reason"]  # it tells of this machine
    if differences := list_differences(chiefs, mine):
        raise RunError(
            "this worker was started with other settings than the chief, worker 0:"
            f" {'; '.join(differences)}. Start all of them with the same command, on"
            " the same records."
        )


@contextmanager
def new_run(run: RunFolder, hardware: Hardware) -> Iterator[RunFolder]:
    """Make the folder of a run, under another name where it is taken.

    The chief does, and tells the other workers.

    Raises:
        RunError: another worker is gone.
    """
    if not hardware.is_chief:
        yield RunFolder(Path(from_chief(hardware, "")))
        return
    with new_folder(run.path) as path:
        from_chief(hardware, str(path))
        yield RunFolder(path)


@contextmanager
def loss_told(hardware: Hardware, run: RunFolder | None = None) -> Iterator[None]:
    """Raise a RunError for errors of the block that mean that a worker is gone.

    Raises:
        RunError: one is.
    """
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        aborted = "Collective ops is aborted" in str(error)
        gone = aborted or isinstance(error, tf.errors.UnavailableError)
        if hardware.kind != "multi-worker" or not gone:
            raise
        how = f" with `{run.resume_command}`" if run and run.exists() else ""
        raise RunError(
            "another worker has stopped, or cannot be reached any more. What was saved"
            f" is kept: start all of them again{how}."
        ) from error
