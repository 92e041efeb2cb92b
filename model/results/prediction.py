"""Predictions for image files: the path of an evaluation, from a photo on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.model.results.evaluation import (
    Progress,
    checkpoint_to_use,
    load_classifier,
)
from alexnet.model.results.submission import submission_ids, write_submission
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.errors import BadImage
from alexnet.pipeline.notebook_bar import notebook_progress
from alexnet.pipeline.records.image import read_image, to_square
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import as_place
from alexnet.pipeline.source.image_items import ImageItem, find_images

BATCH = 64


@dataclass(frozen=True)
class ImageToPredict:
    """An image: the name that it is shown by, its id in a submission, its bytes."""

    name: str
    id: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Prediction:
    """The probabilities predicted for one image, or why there are none."""

    image: str
    id: str
    probabilities: tuple[float, ...] = ()
    error: str | None = None

    @property
    def label(self) -> int:
        """The most probable class."""
        return int(np.argmax(self.probabilities))


@dataclass(frozen=True)
class PredictionReport:
    """The predictions in the order of the images, and the checkpoint they come from."""

    checkpoint: str
    epoch: int
    class_names: tuple[str, ...]
    predictions: tuple[Prediction, ...]

    @property
    def failed(self) -> list[Prediction]:
        """The images that could not be read."""
        return [one for one in self.predictions if one.error is not None]

    @property
    def class_counts(self) -> Counter[str]:
        """The number of images predicted for each class; failed images are left out."""
        said = (one.label for one in self.predictions if one.error is None)
        return Counter(self.class_names[label] for label in said)

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {
            "checkpoint": self.checkpoint,
            "epoch": self.epoch,
            "predictions": [self._one(one) for one in self.predictions],
        }

    def _one(self, one: Prediction) -> dict[str, Any]:
        if one.error is not None:
            return {"image": one.image, "error": one.error}
        return {
            "image": one.image,
            "class_name": self.class_names[one.label],
            "probability": one.probabilities[one.label],
            "probabilities": dict(
                zip(self.class_names, one.probabilities, strict=True)
            ),
        }

    def save_csv(self, path: Path) -> int:
        """Write Kaggle's submission form; return its number of images.

        Images that failed are left out; one that was named twice has one line.
        """
        read = (one for one in self.predictions if one.error is None)
        rows = {one.id: one.probabilities for one in read}
        write_submission(path, self.class_names, rows)
        return len(rows)


def predict(
    run: str | PathLike[str],
    images: str | PathLike[str] | Location | Sequence[str | PathLike[str] | Location],
    *,
    checkpoint: str = "best",
    progress: Progress | None = None,
) -> PredictionReport:
    """Predict the classes of images; the report lists those that cannot be read.

    Args:
        run: the run's folder.
        images: image files, or folders, archives, tables and patterns of them; or URLs
            of these.
        checkpoint: "best" by validation accuracy, or "last".
        progress: called with the images done and the images in all; by default a
            notebook shows a bar.

    Raises:
        RunError: there is no such run or checkpoint.
        DataError: one of these holds no images, or cannot be read.
    """
    run = RunFolder(Path(run))
    config = run.load_config()
    paths = [images] if isinstance(images, (str, PathLike, Location)) else images
    named = name_images(list(find_images([as_place(path) for path in paths])))
    classifier, epoch = load_classifier(run, checkpoint)
    progress = progress or notebook_progress("predicting", "images")
    predictions: list[Prediction] = []
    for chunk in _chunks(named):
        predictions += _predict_chunk(chunk, classifier, config)
        progress(len(predictions), len(named))
    checkpoint = checkpoint_to_use(run, checkpoint)
    return PredictionReport(checkpoint, epoch, config.class_names, tuple(predictions))


def _predict_chunk(
    chunk: Sequence[ImageToPredict], classifier: Classifier, config: RunConfig
) -> Iterator[Prediction]:
    stored = [read_stored(image, config) for image in chunk]
    pixels = [one for one in stored if not isinstance(one, str)]
    said = iter(classifier(np.stack(pixels)).numpy() if pixels else ())
    for image, one in zip(chunk, stored, strict=True):
        if isinstance(one, str):
            yield Prediction(image.name, image.id, error=one)
        else:
            yield Prediction(image.name, image.id, tuple(map(float, next(said))))


def read_stored(image: ImageToPredict, config: RunConfig) -> np.ndarray | str:
    """uint8 [side, side, 3], cut as the run's records were; a reason where it fails."""
    side = config.stored_side
    try:
        return np.asarray(
            to_square(read_image(image.read(), side), side, config.resize)
        )
    except (BadImage, OSError) as error:
        return getattr(error, "strerror", None) or str(error)


def _chunks(images: Sequence[ImageToPredict]) -> Iterator[list[ImageToPredict]]:
    remaining = iter(images)
    while chunk := list(islice(remaining, BATCH)):
        yield chunk


def name_images(items: Sequence[ImageItem]) -> list[ImageToPredict]:
    """Give images their ids in a submission, a different one to each."""
    places = [Path(item.name).absolute() for item in items]
    common = Path(os.path.commonpath([place.parent for place in places]))
    keys = [place.relative_to(common).as_posix() for place in places]
    return [
        ImageToPredict(item.name, id, item.read)
        for item, id in zip(items, submission_ids(keys), strict=True)
    ]
