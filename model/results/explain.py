"""`explain`: pictures of what a run's network looks at in image files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.model.results.evaluation import (
    Progress,
    checkpoint_to_use,
    load_classifier,
)
from alexnet.model.results.explanation import grad_cam, last_spatial_layer, occlusion
from alexnet.model.results.prediction import ImageToPredict, name_images, read_stored
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.augment.augment import preprocess_batch
from alexnet.pipeline.pictures import legible, save_figure
from alexnet.pipeline.remote.location import Location
from alexnet.pipeline.remote.place import as_place
from alexnet.pipeline.source.image_items import find_images

INCHES = 3.2


@dataclass(frozen=True)
class ExplainedImage:
    """An image, what was said of it, and the picture that was drawn; or an error."""

    image: str
    class_name: str | None = None
    probability: float | None = None
    picture: str | None = None
    error: str | None = None

    @property
    def answer(self) -> str:
        """One line for people, of an image that could be read."""
        return f"{self.class_name} {self.probability:.1%}, drawn: {self.picture}"


@dataclass(frozen=True)
class ExplainReport:
    """The images in their order, and the checkpoint that explains them."""

    checkpoint: str
    epoch: int
    # That Grad-CAM looks at; None in a network without a layer that knows of places.
    layer: str | None
    images: tuple[ExplainedImage, ...]

    def to_json(self) -> dict[str, Any]:
        """The report's fields."""
        return asdict(self)


def explain(
    run: str | PathLike[str],
    images: Sequence[str | PathLike[str] | Location],
    out: str | PathLike[str],
    *,
    checkpoint: str = "best",
    progress: Progress = lambda done, total: None,
) -> ExplainReport:
    """Draw what the answers to images rest on: Grad-CAM and occlusion maps.

    Args:
        run: the run's folder.
        images: image files, or folders, archives, tables and patterns of them; or URLs
            of these.
        out: the folder of the pictures, a PNG for each image.
        checkpoint: "best" by validation accuracy, or "last".
        progress: called with the images done and the images in all.

    Raises:
        RunError: there is no such run or checkpoint.
        DataError: one of `images` holds none, or cannot be read.
        OSError: a picture cannot be written.
    """
    run = RunFolder(Path(run))
    config = run.load_config()
    named = name_images(list(find_images([as_place(path) for path in images])))
    classifier, epoch = load_classifier(run, checkpoint)
    layer = last_spatial_layer(classifier.network)
    explained = []
    for done, image in enumerate(named, 1):
        explained.append(_explain_image(image, classifier, config, layer, Path(out)))
        progress(done, len(named))
    return ExplainReport(
        checkpoint_to_use(run, checkpoint),
        epoch,
        layer and layer.name,
        tuple(explained),
    )


def _explain_image(
    image: ImageToPredict,
    classifier: Classifier,
    config: RunConfig,
    layer: Any,
    out: Path,
) -> ExplainedImage:
    stored = read_stored(image, config)
    if isinstance(stored, str):
        return ExplainedImage(image.name, error=stored)
    augment = config.augment
    view = preprocess_batch(stored[None], augment, classifier.side).numpy()[0]

    def answer(views: np.ndarray) -> np.ndarray:
        logits = classifier.run_network(tf.constant(views), training=False)
        return np.asarray(tf.nn.softmax(logits))

    probabilities = answer(view[None])[0]
    label = int(probabilities.argmax())
    name, probability = config.class_names[label], float(probabilities[label])
    cam = None if layer is None else grad_cam(classifier.network, layer, view, label)
    pixels = np.clip((view * augment.std + augment.mean) / 255, 0, 1)
    title = f"{legible(image.name)}: {legible(name)} {probability:.1%}"
    figure = draw_explanation(pixels, cam, occlusion(answer, view, label), title)
    path = out / f"{image.id}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    return ExplainedImage(image.name, name, probability, str(path))


def draw_explanation(
    picture: np.ndarray, cam: np.ndarray | None, lost: np.ndarray, title: str
) -> Figure:
    """A picture, float [side, side, 3] in [0, 1], and its maps laid over it."""
    count = 2 if cam is None else 3
    figure = Figure(figsize=(count * INCHES, INCHES + 0.7), layout="constrained")
    figure.suptitle(title, fontsize=10)
    plain, *mapped = figure.subplots(1, count)
    _draw_map(plain, picture, "as the network sees it")
    if cam is not None:
        name = "Grad-CAM: speaks for the class"
        _draw_map(mapped[0], picture, name, cam, "inferno", (0.0, 1.0))
    most = max(float(np.abs(lost).max()), 1e-6)
    name = f"hidden, costs up to {max(float(lost.max()), 0.0):.1%} (red)"
    _draw_map(mapped[-1], picture, name, lost, "RdBu_r", (-most, most))
    return figure


def _draw_map(
    axis: Axes,
    picture: np.ndarray,
    name: str,
    values: np.ndarray | None = None,
    colors: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Draw a picture, and values in colours over a grey one."""
    axis.set_axis_off()
    axis.set_title(name, fontsize=9)
    if values is None:
        axis.imshow(picture)
        return
    axis.imshow(picture.mean(axis=2), cmap="gray", vmin=0, vmax=1)
    axis.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], alpha=0.5)
