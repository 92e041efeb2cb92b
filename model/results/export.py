"""A run's network for use elsewhere: a SavedModel to serve, or one file of a format.

What is written is whole or not there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import tensorflow as tf

from alexnet.model.results.evaluation import load_classifier
from alexnet.model.results.plain import plain_network
from alexnet.model.results.serving import ServedClassifier, ServedNetwork
from alexnet.model.training.classifier import Classifier
from alexnet.model.training.run import RunFolder
from alexnet.model.training.run_config import RunConfig
from alexnet.pipeline.errors import RunError
from alexnet.pipeline.files import atomic_path
from alexnet.pipeline.records.manifest import labels_text
from alexnet.pipeline.setting import require

Format = Literal["saved-model", "keras", "tflite", "onnx"]


@dataclass(frozen=True)
class ExportReport:
    """An export: its checkpoint's epoch, and what its signatures take, by name."""

    run: str
    out: str
    format: Format
    epoch: int
    signatures: dict[str, str]
    class_names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report's promised fields."""
        return asdict(self)


def export(
    run: str | PathLike[str],
    out: str | PathLike[str],
    *,
    format: Format = "saved-model",
    checkpoint: str = "best",
) -> ExportReport:
    """Write a run's classifier for use elsewhere: a SavedModel's folder, or a file.

    A SavedModel has the signatures of `ServedClassifier`, and `labels.txt` among its
    assets. The files take what the network itself takes, any number of images at once
    (TFLite one, until its input is resized), and answer with probabilities.

    Args:
        run: the run's folder.
        out: the folder or file to make.
        format: "saved-model", "keras", "tflite" or "onnx".
        checkpoint: "best" by validation accuracy, or "last".

    Raises:
        RunError: `out` is taken, the run has no checkpoint, or a package is missing.
    """
    formats = get_args(Format)
    require(format in formats, "format", format, f"one of {', '.join(formats)}")
    run, out = RunFolder(Path(run)), Path(out)
    if out.exists():
        raise RunError(f"{out} exists already; choose another name, or remove it")
    config = run.load_config()
    classifier, epoch = load_classifier(run, checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    if format == "saved-model":
        _save_folder(classifier, config, out)
    else:
        content = CONVERTERS[format](classifier)
        with atomic_path(out) as partial:
            partial.write_bytes(content)
    signatures = _signatures(format, classifier.side)
    return ExportReport(
        str(run.path), str(out), format, epoch, signatures, config.class_names
    )


def _signatures(to: Format, side: int) -> dict[str, str]:
    levels = "float32" if to == "keras" else "uint8"
    network = {"network": f"{levels} [batch, {side}, {side}, 3]"}
    if to != "saved-model":
        return network
    pictures = {
        "serving_default": "string [batch], the bytes of image files",
        "pixels": "uint8 [batch, height, width, 3], upright RGB",
    }
    return pictures | network


def _save_folder(classifier: Classifier, config: RunConfig, out: Path) -> None:
    """Write a SavedModel so that it is whole or absent."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _save_classifier(classifier, config, partial)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _save_classifier(classifier: Classifier, config: RunConfig, folder: Path) -> None:
    served = ServedClassifier(classifier, config)
    labels = folder / "labels.txt"
    folder.mkdir()
    labels.write_bytes(labels_text(config.class_names))
    served.labels = tf.saved_model.Asset(str(labels))
    signatures = {
        "serving_default": served.files,
        "pixels": served.pixels,
        "network": served.network_pixels,
    }
    tf.saved_model.save(served, str(folder), signatures)
    labels.unlink()


def _to_keras(classifier: Classifier) -> bytes:
    """A `.keras` file, which is read without code of ours."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        plain_network(classifier).save(path)
        return path.read_bytes()


def _to_tflite(classifier: Classifier) -> bytes:
    """A TFLite model of built-in operations, with the signature `network`."""
    from tensorflow.python.framework import convert_to_constants

    network = ServedNetwork(classifier).network_pixels
    # Under Keras 3 the converter would keep variables, and lose their values.
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        network.get_concrete_function()
    )
    served = tf.Module()
    served.network = tf.function(
        lambda images: {"probabilities": frozen(images)[0]}, network.input_signature
    )
    with TemporaryDirectory() as folder:
        tf.saved_model.save(served, folder, {"network": served.network})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, ["network"])
        return bytes(converter.convert())


def _to_onnx(classifier: Classifier) -> bytes:
    """An ONNX model.

    Raises:
        RunError: tf2onnx is not installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise RunError(
            f"ONNX needs a package that is not there: {error}. Install it with"
            " `pip install 'alexnet[onnx]'`."
        ) from error
    network = ServedNetwork(classifier).network_pixels
    model, _ = tf2onnx.convert.from_function(network, network.input_signature)
    return bytes(model.SerializeToString())


CONVERTERS: dict[str, Callable[[Classifier], bytes]] = {
    "keras": _to_keras,
    "tflite": _to_tflite,
    "onnx": _to_onnx,
}
