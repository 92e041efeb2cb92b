"""All that a page shows of a run: read from its folder, and measured once more.

What cannot be had is None or empty, and `missing` says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from alexnet.model.results.calibration import Calibration, Thresholds
from alexnet.model.results.evaluation import Progress, classify, load_classifier
from alexnet.model.results.gallery import Example, Gallery
from alexnet.model.results.plots import filter_pictures, first_filters
from alexnet.model.results.run_data import held_out_split, open_run_data
from alexnet.model.results.scores import Scores
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.history import EpochRecord, best_epoch
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.errors import AlexnetError
from alexnet.pipeline.inspect.contact_sheet import augmented_samples, to_rgb_images
from alexnet.pipeline.read.opened_set import OpenedSet

BATCH = 128
# Side of the pictures in a page, in pixels: small ones keep a page small.
THUMBNAIL = 112
SAMPLE_ROWS = 3


@dataclass(frozen=True)
class Mistake:
    """A mistake that the network is sure of."""

    picture: np.ndarray  # uint8 [S, S, 3]
    key: str
    label: str
    guess: str
    confidence: float


@dataclass
class HeldOut:
    """A network on the examples of a split, counted in one pass."""

    split: str
    scores: Scores
    gallery: Gallery = field(default_factory=lambda: Gallery(frozenset()))
    calibration: Calibration = field(default_factory=Calibration)
    thresholds: Thresholds = field(default_factory=Thresholds)
    mistakes: list[Mistake] = field(default_factory=list)


@dataclass
class RunReport:
    """A run as its page shows it."""

    run: RunFolder
    config: RunConfig
    circumstances: dict[str, str]
    history: list[EpochRecord]
    # What is not in the page, and why.
    missing: list[str] = field(default_factory=list)
    epoch: int | None = None
    held_out: HeldOut | None = None
    filters: np.ndarray | None = None  # uint8 [filters, height, width, 3]
    samples: np.ndarray | None = None  # uint8 [rows, columns, S, S, 3]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.run.path.resolve().name

    @property
    def best(self) -> EpochRecord | None:
        """The epoch of the best validation accuracy."""
        return best_epoch(self.history)

    def to_json(self) -> dict[str, Any]:
        """The figures of the page, in short."""
        held_out = self.held_out
        return {
            "run": str(self.run.path),
            "epoch": self.epoch,
            "split": held_out and held_out.split,
            "loss": held_out and held_out.scores.loss,
            "top1": held_out and held_out.scores.top1,
            "calibration_error": held_out and held_out.calibration.expected_error,
            "missing": self.missing,
        }


def read_run(run: RunFolder, which: str, progress: Progress) -> RunReport:
    """Gather what there is of a run: the page of a broken one says what is missing.

    Raises:
        RunError: there is no run in the folder, or its settings or history are damaged.
    """
    report = RunReport(
        run, run.load_config(), run.load_circumstances(), run.load_history()
    )
    if not report.history:
        report.missing.append("Curves and times: no epoch has been finished yet.")
    elif report.best is None:
        report.missing.append(
            "Validation: the records hold no validation examples, so no epoch is known"
            " to be the best, and the last one is shown. Build records with a"
            " `validation_fraction` above 0 to know how the network does on other"
            " photos."
        )
    records = classifier = None
    with _noting(report, "Everything that needs the records"):
        records = open_run_data(run)
    with _noting(report, "Everything that needs the network"):
        classifier, report.epoch = load_classifier(run, which)
        kernel = first_filters(classifier.network)
        report.filters = None if kernel is None else filter_pictures(kernel)
    if records is not None:
        with _noting(report, "Augmented samples"):
            report.samples = _samples(report.config, records)
    if records is not None and classifier is not None:
        with _noting(report, "Figures on held-out examples"):
            report.held_out = _measure(classifier, records, report.config, progress)
    return report


@contextmanager
def _noting(report: RunReport, what: str) -> Iterator[None]:
    """Note a user's mistake in the block as missing from the page, and go on."""
    try:
        yield
    except (AlexnetError, OSError) as error:
        report.missing.append(f"{what}: {error}")


def _measure(
    classifier: Classifier, records: OpenedSet, config: RunConfig, progress: Progress
) -> HeldOut:
    split = held_out_split(records)
    held_out = HeldOut(split, Scores(config.class_names))
    total = records.manifest.split(split).num_examples
    for batch in classify(classifier, records, [split], BATCH):
        probabilities = tf.nn.softmax(batch.logits).numpy()
        held_out.scores.add(batch.labels, batch.logits)
        held_out.gallery.add(batch)
        held_out.calibration.add(batch.labels, probabilities)
        if len(config.class_names) == 2:
            held_out.thresholds.add(batch.labels, probabilities)
        progress(held_out.scores.num_examples, total)
    held_out.mistakes = _mistakes(held_out.gallery.mistakes, records, split)
    return held_out


def _mistakes(examples: list[Example], records: OpenedSet, split: str) -> list[Mistake]:
    keys = records.keys(split, [example.row for example in examples])
    names = records.class_names
    return [
        Mistake(
            _thumbnail(to_rgb_images(example.image[None])[0]),
            key,
            names[example.label],
            names[example.guess],
            example.confidence,
        )
        for example, key in zip(examples, keys, strict=True)
    ]


def _samples(config: RunConfig, records: OpenedSet) -> np.ndarray:
    side, seed = config.network.image_size, config.train.seed
    rows = augmented_samples(records, config.augment, side, seed)[:SAMPLE_ROWS]
    return np.stack([[_thumbnail(image) for image in row] for row in rows])


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """A picture of at most THUMBNAIL pixels a side."""
    picture = Image.fromarray(image)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(picture)
