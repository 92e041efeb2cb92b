"""A run's network on labelled examples: the run's own records, or others like them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from model.alexnet import build_network
from model.checkpoints import load_network
from model.classifier import Classifier
from model.hardware import share_gpus
from model.history import best_epoch
from model.run import RunConfig, RunFolder
from model.scores import Scores
from pipeline.blame import reading
from pipeline.config import BuildConfig, ReadConfig
from pipeline.dataset import eval_dataset
from pipeline.errors import RunError
from pipeline.files import name_some
from pipeline.photos import open_data
from pipeline.reader import RecordSet

# Called with the images done and the images in all.
Progress = Callable[[int, int], None]
ALL = "all"
# Splits of a run's own records that say little of other photos.
OWN_NOTES = {
    "train": "the run was trained on these examples",
    ALL: "the run was trained on those of the train split among these examples",
}


@dataclass(frozen=True)
class EvaluationReport:
    """What a run's network reaches on a split, and what has to be known of the two."""

    data: str
    split: str
    is_own_data: bool
    checkpoint: str
    epoch: int
    scores: Scores

    @property
    def note(self) -> str | None:
        """What has to be known to believe the figures; None where nothing has."""
        if self.is_own_data:
            return OWN_NOTES.get(self.split)
        return (
            "these are other records than the run's; photos among them that the run was"
            " trained on make the figures too good"
        )

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "data": self.data,
            "split": self.split,
            "own_records": self.is_own_data,
            "checkpoint": self.checkpoint,
            "epoch": self.epoch,
            "note": self.note,
            **self.scores.to_json(),
        }


def checkpoint_to_use(run: RunFolder, which: str) -> str:
    """`best` where it is asked for and validation has chosen one, else `last`.

    Raises:
        RunError: the run's history is damaged.
    """
    return which if best_epoch(run.load_history()) else "last"


def load_classifier(run: RunFolder, which: str = "best") -> tuple[Classifier, int]:
    """Load the run's trained classifier, in float32; return the checkpoint's epoch too.

    Raises:
        RunError: there is no run or no checkpoint, or they do not fit each other.
    """
    config = run.load_config()
    share_gpus()  # a training may be running beside this
    keras.mixed_precision.set_global_policy("float32")
    network = build_network(config.network)
    epoch = load_network(run, network, checkpoint_to_use(run, which))
    return Classifier(network, config.augment), epoch


def evaluate(
    run: RunFolder,
    data: Path | None = None,
    split: str | None = None,
    which: str = "best",
    batch_size: int = 128,
    progress: Progress = lambda done, total: None,
) -> EvaluationReport:
    """Evaluate a run's checkpoint on a split, or on `all` examples.

    Without `data`, these are the records the run was trained on. Without `split`, it is
    the run's validation split, and `all` of other records.

    Raises:
        RunError: there is no such run or checkpoint, or the records do not fit the run.
        DataError: the records or the split are not there.
    """
    config = run.load_config()
    records = open_run_data(run, data)
    is_own = records.manifest.fingerprint == config.records_fingerprint
    split = split or (held_out_split(records) if is_own else ALL)
    splits = splits_of(records, split)
    total = sum(records.manifest.splits[name].num_examples for name in splits)
    classifier, epoch = load_classifier(run, which)
    scores = Scores(config.class_names)
    for batch in classify(classifier, records, splits, batch_size):
        scores.add(batch.labels, batch.logits)
        progress(scores.num_examples, total)
    checkpoint = checkpoint_to_use(run, which)
    return EvaluationReport(
        str(records.folder), split, is_own, checkpoint, epoch, scores
    )


def held_out_split(records: RecordSet) -> str:
    """The validation split; where there is none, the test split, or else train."""
    return records.manifest.first_split("validation", "test", "train")


def splits_of(records: RecordSet, split: str) -> list[str]:
    """The splits to read for a split's name or `all`: those that have examples.

    Raises:
        DataError: there is no such split, or it is empty.
    """
    manifest = records.manifest
    if split == ALL:
        held = [name for name, card in manifest.splits.items() if card.num_examples]
        return held or splits_of(records, "train")
    manifest.split(split)
    return [split]


def open_run_data(run: RunFolder, data: Path | None = None) -> RecordSet:
    """Open the records, or photos, that a run was trained on, or others like them.

    Raises:
        RunError: they do not fit the run, or are not its own and `data` is None.
        DataError: they cannot be opened.
    """
    config = run.load_config()
    # Photos are cut as the run's own records were.
    cut = BuildConfig("original", config.stored_side, config.resize)
    records = open_data(data or Path(config.data), cut)
    require_fitting(config, records)
    if data is None and records.manifest.fingerprint != config.records_fingerprint:
        what = "records" if records.has_records else "photos"
        command = f"alexnet evaluate {quote(str(run.path))} {quote(config.data)}"
        raise RunError(
            f"these are other {what} than the run's: {config.data} has changed since"
            " it was trained, or was built anew. Put the run's own back, or evaluate"
            f" on these by naming them: `{command}`."
        )
    return records


def require_fitting(config: RunConfig, records: RecordSet) -> None:
    """Check that the records hold what the run can tell apart, cut as it knows it.

    Raises:
        RunError: the classes differ, or the side or resize mode of the stored squares.
    """
    folder, stored = records.folder, records.manifest.config
    names = records.manifest.class_names
    if names != config.class_names:
        raise RunError(
            f"the run tells {name_some(config.class_names)} apart; the records in"
            f" {folder} hold {name_some(names)}"
            f" ({_difference(config.class_names, names)})."
            " Choose records of the run's own classes."
        )
    side, resize = config.stored_side, config.resize
    if (stored.side, stored.resize) != (side, resize):
        raise RunError(
            f"the run was trained on {side} px records made with --resize {resize};"
            f" those in {folder} hold {stored.side} px made with --resize"
            f" {stored.resize}. Build them with --side {side} --resize {resize}."
        )


def _difference(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """What distinguishes two lists of classes, of which each may have thousands."""
    known, held = set(ours), set(theirs)
    lacking = [name for name in ours if name not in held]
    added = [name for name in theirs if name not in known]
    parts = [
        f"{word} {name_some(names)}"
        for word, names in (("without", lacking), ("with", added))
        if names
    ]
    return ", ".join(parts) or "in another order"


class Batch(NamedTuple):
    """Examples and what the network says of them."""

    images: tf.Tensor  # uint8, as they are stored; padding may follow the examples
    labels: np.ndarray  # int64 [examples]
    logits: np.ndarray  # float32 [examples, classes]


def classify(
    classifier: Classifier, records: RecordSet, splits: list[str], batch_size: int
) -> Iterator[Batch]:
    """Yield every example of the splits once, in order, a batch at a time.

    Raises:
        DataError: a shard or photo cannot be used.
    """
    logits_of = tf.function(classifier.eval_logits)
    for images, labels, weights in _read(records, splits, batch_size):
        real = int(np.count_nonzero(weights))
        yield Batch(images, labels.numpy()[:real], logits_of(images).numpy()[:real])


def _read(
    records: RecordSet, splits: list[str], batch_size: int
) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    with reading(records):
        for split in splits:
            yield from eval_dataset(records, ReadConfig(batch_size), split)
