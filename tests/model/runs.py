"""What tests ask of runs: their states, their figures, and whether two are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from alexnet.model.results.evaluation import load_classifier
from alexnet.model.training.checkpoints import latest
from alexnet.model.training.history import EpochRecord
from alexnet.model.training.run import RunFolder

Variables = dict[str, np.ndarray]
Figures = dict[str, np.ndarray]
CLOCKED = (
    *("images_per_second", "input_wait_share", "seconds", "step_seconds"),
    *("host_seconds", "validation_seconds", "saving_seconds"),
)


def checkpointed(run: RunFolder, which: str = "last") -> Variables:
    """Every variable of a checkpoint: weights, optimizer slots, step, epoch."""
    reader = tf.train.load_checkpoint(str(latest(run.checkpoints_path(which))))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: reader.get_tensor(name) for name in names}


def figures(history: Sequence[EpochRecord]) -> list[tuple[Any, ...]]:
    """What of a history does not depend on the clock."""
    return [
        tuple(v for k, v in asdict(record).items() if k not in CLOCKED)
        for record in history
    ]


def step_of(run: RunFolder) -> int:
    """The steps that the last saved state has behind it; 0 before the first."""
    path = latest(run.checkpoints_path("last"))
    return int(path.name.split("-")[1]) if path else 0


def require_same(found: RunFolder, expected: RunFolder) -> None:
    """Two runs have the same states and figures to the last bit."""
    assert figures(found.load_history()) == figures(expected.load_history())
    for which in ("last", "best"):
        ours, theirs = checkpointed(found, which), checkpointed(expected, which)
        assert ours.keys() == theirs.keys()
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def files_of(run: RunFolder) -> set[str]:
    """The files of a run's states, without the endings that TensorFlow gives them."""
    folder = run.checkpoints_path("last").parent
    paths = (path.relative_to(folder) for path in folder.rglob("*"))
    return {str(path.with_suffix("")) for path in paths if path.parent.name}


def named_weights(network: keras.Model) -> Figures:
    """The weights by layer and name, which Keras 3 keeps apart."""
    return {
        f"{layer.name} {weight.name.split('/')[-1]}": weight.numpy()
        for layer in network.layers
        for weight in layer.weights
    }


def figures_of(run: RunFolder) -> Figures:
    """The losses and the last weights of a run."""
    network = load_classifier(run, "last")[0].network
    losses = [[record.loss, record.val_loss] for record in run.load_history()]
    return {"losses": np.array(losses), **named_weights(network)}


def require_close(found: Figures, expected: Figures) -> None:
    found, expected = _losses_apart(found), _losses_apart(expected)
    assert found.keys() == expected.keys()
    for name in found:
        # One device estimates the variance of n values with n - 1 below the line,
        # replicas together with n; 72 values (8 x 3 x 3) reach the last norm here.
        # Validation, not training, normalises by it.
        rough = "moving_variance" in name or name == "validation losses"
        np.testing.assert_allclose(
            found[name],
            expected[name],
            rtol=1 / 71 if rough else 2e-3,
            atol=1e-5,
            err_msg=name,
        )


def _losses_apart(figures: Figures) -> Figures:
    train, validation = figures["losses"].T
    rest = {name: value for name, value in figures.items() if name != "losses"}
    return {"training losses": train, "validation losses": validation, **rest}
