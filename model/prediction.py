"""What a run's network says of image files: the evaluation's path, from a photo on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from model.evaluation import Progress, load_classifier
from model.run import RunFolder
from pipeline.archive import is_hidden
from pipeline.errors import DataError
from pipeline.files import atomic_path
from pipeline.formats import has_image_suffix
from pipeline.pixels import BadImage, read_image, square

BATCH = 64
PATTERN = re.compile(r"[*?[]")


@dataclass(frozen=True)
class Prediction:
    """What was said of one image, or why nothing could be."""

    image: str
    probabilities: tuple[float, ...] = ()
    error: str | None = None

    @property
    def label(self) -> int:
        """The most probable class."""
        return int(np.argmax(self.probabilities))


@dataclass(frozen=True)
class PredictionReport:
    """The predictions in the order of the images."""

    class_names: tuple[str, ...]
    predictions: tuple[Prediction, ...]

    @property
    def failed(self) -> list[Prediction]:
        """The images that could not be read."""
        return [one for one in self.predictions if one.error is not None]

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return {"predictions": [self._one(one) for one in self.predictions]}

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

    def save_csv(self, path: Path) -> None:
        """Write Kaggle's submission form; images that failed are left out.

        With two classes `id,label`, the label being the probability of the second
        class, as "Dogs vs. Cats Redux" asks; with more, a column a class.
        """
        two = len(self.class_names) == 2
        header = ["label"] if two else list(self.class_names)
        with (
            atomic_path(path) as partial,
            partial.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["id", *header])
            for one in self.predictions:
                if one.error is None:
                    values = one.probabilities[1:] if two else one.probabilities
                    writer.writerow([_kaggle_id(one.image), *values])


def _kaggle_id(image: str) -> str:
    """'test/42.jpg' is image 42; other names keep their ending."""
    path = Path(image)
    return path.stem if path.stem.isdecimal() else path.name


def predict(
    run: RunFolder,
    images: Sequence[Path],
    which: str = "last",
    progress: Progress = lambda done, total: None,
) -> PredictionReport:
    """The predictions for image files, folders of them, and glob patterns.

    Raises:
        RunError: there is no such run or checkpoint.
        DataError: a folder holds no images, or a pattern fits nothing.
    """
    config = run.load_config()
    files = list(find_images(images))
    side, resize = config.stored_side, config.resize
    classifier, _ = load_classifier(run, which)
    predictions: list[Prediction] = []
    for chunk in _chunks(files):
        pixels, chunk_predictions = [], []
        for path in chunk:
            try:
                image = square(read_image(path.read_bytes(), side), side, resize)
                pixels.append(np.asarray(image))
                chunk_predictions.append(Prediction(str(path)))
            except (BadImage, OSError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                chunk_predictions.append(Prediction(str(path), error=reason))
        said = iter(classifier(np.stack(pixels)).numpy() if pixels else ())
        predictions += [
            one if one.error else Prediction(one.image, tuple(map(float, next(said))))
            for one in chunk_predictions
        ]
        progress(len(predictions), len(files))
    return PredictionReport(config.class_names, tuple(predictions))


def _chunks(files: Sequence[Path]) -> Iterator[list[Path]]:
    remaining = iter(files)
    while chunk := list(islice(remaining, BATCH)):
        yield chunk


def find_images(paths: Sequence[Path]) -> Iterator[Path]:
    """The image files that the paths name; folders are searched to the bottom.

    A file that is not there is named all the same: reading it says so, and the others
    are not held up.

    Raises:
        DataError: a folder holds no images, or a pattern fits nothing.
    """
    for path in paths:
        if path.is_dir():
            found = [p for p in path.rglob("*") if _is_image(p.relative_to(path))]
        elif path.exists() or not PATTERN.search(str(path)):
            found = [path]
        else:
            found = _fitting(path)
        if not found:
            what = "no images in" if path.is_dir() else "no file fits"
            raise DataError(f"{what} {path}. Expected an image, a folder or a pattern.")
        yield from sorted(found)


def _fitting(pattern: Path) -> list[Path]:
    """The files that a pattern fits; nothing where it is malformed, such as **.jpg."""
    below = str(pattern).removeprefix(pattern.anchor)
    try:
        return list(Path(pattern.anchor or ".").glob(below))
    except ValueError:
        return []


def _is_image(name: Path) -> bool:
    """By its ending; hidden ones, such as a Mac's ._1.jpg, are none."""
    return has_image_suffix(name.name) and not is_hidden(name.as_posix())
