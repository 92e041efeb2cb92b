"""A trained network as a SavedModel that carries its preprocessing and class names."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow as tf

from model.classifier import Classifier
from model.evaluation import load_classifier
from model.run import RunConfig, RunFolder
from pipeline.errors import RunError
from pipeline.record import to_square


class ExportedClassifier(tf.Module):
    """What is served: encoded images or pixels in, probabilities out."""

    def __init__(self, classifier: Classifier, config: RunConfig, labels: Path) -> None:
        super().__init__()
        self.network = classifier.network  # its variables are saved with the module
        self._probabilities = classifier.call
        self.config = config
        names = [n.encode("utf-8", "surrogateescape") for n in config.class_names]
        self.class_names = tf.constant(names)
        self.labels = tf.saved_model.Asset(str(labels))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="images")])
    def encoded(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Probabilities for the bytes of JPEG, PNG, GIF or BMP files of any size."""
        side = self.config.stored_side
        pixels = tf.map_fn(
            self._decode,
            images,
            fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8),
        )
        return self._classify(pixels)

    def _decode(self, data: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        same = tf.reduce_all(tf.shape(image)[:2] == self.config.stored_side)
        return tf.cond(same, lambda: image, lambda: self._square(image))

    def _square(self, image: tf.Tensor) -> tf.Tensor:
        return to_square(image, self.config.stored_side, self.config.resize)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")]
    )
    def pixels(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Probabilities for uint8 [batch, height, width, 3], upright RGB."""
        side = self.config.stored_side
        squares = tf.map_fn(self._resized, images)
        return self._classify(tf.ensure_shape(squares, [None, side, side, 3]))

    def _resized(self, image: tf.Tensor) -> tf.Tensor:
        same = tf.reduce_all(tf.shape(image)[:2] == self.config.stored_side)
        return tf.cond(same, lambda: image, lambda: self._square(image))

    def _classify(self, squares: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = self._probabilities(squares)
        best = tf.argmax(probabilities, axis=1)
        return {
            "probabilities": probabilities,
            "class_name": tf.gather(self.class_names, best),
        }


def export(run: RunFolder, out: Path, which: str = "last") -> None:
    """Write the run's classifier to `out` as a SavedModel.

    Its signatures are `serving_default` (encoded images) and `pixels`; `labels.txt` is
    among its assets and the names are in its `class_name` output.

    Raises:
        RunError: `out` is taken, or the run has no checkpoint.
    """
    if out.exists():
        raise RunError(f"{out} exists already; choose another folder, or remove it")
    config = run.load_config()
    classifier, _ = load_classifier(run, which)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _save(classifier, config, partial)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save(classifier: Classifier, config: RunConfig, folder: Path) -> None:
    labels = folder / "labels.txt"
    folder.mkdir(parents=True)
    names = "".join(f"{name}\n" for name in config.class_names)
    labels.write_text(names, "utf-8", "surrogateescape")
    exported = ExportedClassifier(classifier, config, labels)
    signatures = {"serving_default": exported.encoded, "pixels": exported.pixels}
    tf.saved_model.save(exported, str(folder), signatures)
    labels.unlink()
