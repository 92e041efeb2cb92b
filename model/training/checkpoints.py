"""A run's saved states: the last, to go on from, and the best network, to use.

A state is what a step leaves behind: weights, optimizer, the epoch's figures so far. It
is written beside the one before, and counts from when the file `checkpoint` names it:
whatever happens in between, the one before is there. TensorFlow reads such folders too.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow import keras

from alexnet.model.training.optimizer import unwrapped
from alexnet.model.training.run import RunFolder
from alexnet.model.training.shared_folder import is_seen
from alexnet.model.training.train_step import TrainableClassifier
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.files import sync_folder, write_text

POINTER = "checkpoint"
# TensorFlow's folder in memory, of each process its own.
SPARE = "ram://state"
# Clients of NFS ask the server again within a minute (acdirmax).
SEEN_SECONDS = 70.0
# A bare file name: a run folder from elsewhere must not point at other files.
NAMED = re.compile(rb'^model_checkpoint_path: "(ckpt-\d+(-again)?)"$', re.MULTILINE)
# Errors of TensorFlow for files that are no checkpoint, or of another network.
UNREADABLE: tuple[type[Exception], ...] = (
    *(AssertionError, LookupError, RuntimeError, TypeError, ValueError),
    *(DecodeError, tf.errors.OpError),
)
# Parts of TensorFlow's messages that tell a user nothing.
NOISE = re.compile(r"\{\{.*?\}\} ?| \[Op:\w+\]")


@dataclass
class Checkpoints:
    """The last state and the best network of a run that is being trained."""

    run: RunFolder
    classifier: TrainableClassifier
    is_chief: bool = True

    def __post_init__(self) -> None:
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
        classifier = self.classifier
        trained = numbered_weights(classifier.network)
        average = classifier.average
        # `network` is what `load_network` gives to all who use a run.
        network = numbered_weights(average.network) if average else trained
        self._best = tf.train.Checkpoint(network=network, epoch=self.epoch)
        self._last = tf.train.Checkpoint(
            network=network,
            trained=trained if average else {},
            optimizer=classifier.optimizer,
            loss_scale=[classifier.loss_scale] if classifier.loss_scale else [],
            metrics=classifier.metrics,
            step=self.step,
            epoch=self.epoch,
        )

    def restore_last(self, from_chief: Callable[[str], str] = str) -> int:
        """Load the last state; return how many steps it has behind it.

        Workers of a cluster load the one that `from_chief` names to all of them.

        Raises:
            RunError: it is damaged, or does not fit the network.
        """
        folder = self.run.checkpoints_path("last")
        found = latest(folder)
        name = from_chief(found.name if found else "")
        if not name:
            return 0
        path = folder / name
        if not self.is_chief and not is_seen(Path(f"{path}.index"), SEEN_SECONDS):
            raise RunError(
                f"this worker does not see {path}, the state that the chief goes on"
                " from. Share the run folder among all workers, or copy the chief's"
                " here, then start all of them again."
            )
        with _readable(path, "cannot be restored"):
            self._last.read(str(path)).assert_existing_objects_matched()
        return int(self.step.numpy())

    def save(self, step: int, epoch: int, is_best: bool = False) -> None:
        """Write the state after `step` steps, of which `epoch` epochs are whole.

        Raises:
            RunError: the weights are no numbers any more, or the disk is full.
        """
        self._require_finite(step)
        self.step.assign(step)
        self.epoch.assign(epoch)
        try:
            # The best first: a run killed in between does this epoch again.
            if is_best:
                self._write(self._best, "best")
            self._write(self._last, "last")
        except tf.errors.UnavailableError:
            raise  # another worker is gone
        except (OSError, tf.errors.OpError) as error:
            # It follows the name of a file in a folder that is gone by now.
            what = reason(error).rpartition("; ")[2]
            raise RunError(
                f"the state after step {step} cannot be saved in {self.run.path}:"
                f" {what}. The one before is kept: mend that, then go on with"
                f" `{self.run.resume_command}`."
            ) from error

    def sweep(self) -> None:
        """Delete what killed saves have left behind."""
        for which in ("last", "best"):
            _sweep(self.run.checkpoints_path(which))

    def _write(self, checkpoint: tf.train.Checkpoint, which: str) -> None:
        if not self.is_chief:
            # Every worker has to take part in saving; only the chief's copy is kept.
            checkpoint.write(f"{SPARE}/ckpt")
            tf.io.gfile.rmtree(SPARE)
            return
        folder = self.run.checkpoints_path(which)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            path = _free_path(folder, int(self.step.numpy()))
            checkpoint.write(str(path))
            _point_to(path)
        finally:
            _sweep(folder)

    def _require_finite(self, step: int) -> None:
        weights = self.classifier.network.weights
        sums = tf.stack([tf.cast(tf.reduce_sum(w), tf.float64) for w in weights])
        if not bool(tf.reduce_all(tf.math.is_finite(sums))):
            raise divergence_error(
                self.run, step, "the weights are no numbers any more"
            )


def latest(folder: Path) -> Path | None:
    """The state that a folder holds, without its files' endings; None before the first.

    Raises:
        RunError: the file that names it is damaged.
    """
    pointer = folder / POINTER
    if not pointer.is_file():
        return None
    named = NAMED.search(pointer.read_bytes())
    if not named:
        raise RunError(
            f"{pointer} is damaged: it names no state of this folder. Start the run"
            " again with `overwrite=True`."
        )
    return folder / named[1].decode()


def numbered_weights(network: keras.Model) -> dict[str, tf.Variable]:
    """A network's weights in the order of its layers, the same under any Keras."""
    weights = map(unwrapped, network.weights)
    return {str(number): weight for number, weight in enumerate(weights)}


def _free_path(folder: Path, step: int) -> Path:
    """Return a path for a state, which is never that of the one that counts."""
    path = folder / f"ckpt-{step}"
    return path.with_name(f"{path.name}-again") if path == latest(folder) else path


def _point_to(path: Path) -> None:
    """Let a state count, once its files and the folders above are on the disk."""
    for file in path.parent.glob(f"{path.name}.*"):
        with file.open("rb") as written:
            os.fsync(written.fileno())
    for folder in path.parents[:4]:  # last, checkpoints, the run's, where that lies
        sync_folder(folder)
    write_text(path.parent / POINTER, f'model_checkpoint_path: "{path.name}"\n')


def _sweep(folder: Path) -> None:
    """Delete every state but the one that counts, whole or cut short."""
    kept = latest(folder)
    for pattern in ("ckpt-*", f"{POINTER}.tmp*"):
        for path in folder.glob(pattern):
            if not (kept and path.name.startswith(f"{kept.name}.")):
                _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    """Raise a RunError for errors of the block, which reads `path`.

    Raises:
        RunError: it cannot be read.
    """
    try:
        yield
    except UNREADABLE as error:
        raise RunError(f"{path} {what}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Return the message of the system or of TensorFlow, in a line."""
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")
    said = NOISE.sub("", str(getattr(error, "message", error))).strip()
    return said.splitlines()[0] if said else type(error).__name__


def divergence_error(run: RunFolder, step: int, what: str) -> RunError:
    """Return the error that ends a run that has diverged."""
    path = latest(run.checkpoints_path("last"))
    kept = f"the state of {path} is kept" if path else "nothing was saved yet"
    return RunError(
        f"{what} at step {step}; {kept}. Start again with a lower `learning_rate`, or"
        " longer `warmup_epochs`."
    )


def load_network(run: RunFolder, network: keras.Model, which: str = "best") -> int:
    """Load a checkpoint's weights into `network`; return its epoch.

    The best of a run without validation is its last.

    Raises:
        RunError: there is no checkpoint, or it is damaged, or of another network.
    """
    last = run.checkpoints_path("last")
    path = latest(run.checkpoints_path(which)) or latest(last)
    if path is None:
        raise RunError(f"{last} holds no checkpoint yet: no epoch has been finished")
    epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(network=numbered_weights(network), epoch=epoch)
    with _readable(path, "does not fit this network"):
        restored = checkpoint.read(str(path)).expect_partial()
        restored.assert_existing_objects_matched()
    return int(epoch.numpy())
