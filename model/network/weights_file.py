"""Weights of a file, by the names that the layers of a network give them.

A `.keras` file, a NumPy archive of arrays such as `conv1/kernel`, or a state dict of
torchvision's AlexNet. Nothing that a file holds is executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from tensorflow import keras

from alexnet.model.network.named_weights import Arrays, named_arrays
from alexnet.model.network.own import foreign_names
from alexnet.model.network.torch_file import read_torch_file
from alexnet.pipeline.errors import DataError

# What reading a file of another kind, or a damaged one, raises.
UNREADABLE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AttributeError, BadZipFile, EOFError, ImportError),
    *(LookupError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError),
)
# torchvision/models/alexnet.py: places in two `nn.Sequential`.
TORCHVISION_LAYERS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "dense6",
    "classifier.4": "dense7",
    "classifier.6": "dense8",
}


def read_weights(path: Path) -> Arrays:
    """Read the weights of a file, float32.

    Raises:
        DataError: it is of no known kind, damaged, or holds something else.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path} holds no weights that are known by its ending; it needs one of"
            f" {', '.join(READERS)}, or a run folder"
        )
    try:
        arrays = reader(path)
        if "features.0.weight" in arrays:
            arrays = from_torchvision(arrays)
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read as weights: {error}") from error


def from_torchvision(state: Arrays) -> Arrays:
    """Name and turn the arrays of a state dict as the layers here have them.

    PyTorch's kernels are [out, in, height, width], and its maps are flattened channel
    by channel; Keras's are [height, width, in, out], and place by place.
    """
    channels = len(state["features.10.bias"])
    arrays = {}
    for name, array in state.items():
        place, _, kind = name.rpartition(".")
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        elif place == "classifier.1" and array.ndim == 2:
            maps = array.reshape(len(array), channels, -1)
            array = maps.transpose(2, 1, 0).reshape(-1, len(array))
        elif array.ndim == 2:
            array = array.T
        kind = {"weight": "kernel"}.get(kind, kind)
        arrays[f"{TORCHVISION_LAYERS.get(place, place)}/{kind}"] = array
    return arrays


def _read_keras(path: Path) -> Arrays:
    with ZipFile(path) as archive:
        description = json.loads(archive.read("config.json"))
    if foreign := sorted(set(foreign_names(description))):
        raise ValueError(f"it has layers that are not Keras's: {', '.join(foreign)}")
    return named_arrays(keras.models.load_model(path, compile=False, safe_mode=True))


def _read_numpy(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _read_safetensors(path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: Arrays = load_file(path)
    except SafetensorError as error:
        raise ValueError(error) from error
    return arrays


READERS: dict[str, Callable[[Path], Arrays]] = {
    ".keras": _read_keras,
    ".safetensors": _read_safetensors,
    ".pth": read_torch_file,
    ".pt": read_torch_file,
    ".npz": _read_numpy,
}
