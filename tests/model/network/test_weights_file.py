"""Files of weights: kinds that are read, and what is refused without being run."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from safetensors.numpy import save_file
from tensorflow import keras

from alexnet.model.network.weights_file import read_weights
from alexnet.pipeline.errors import DataError
from tests.model.network.test_torchvision import state_dict

Arrays = dict[str, np.ndarray]


class Storage:
    """What PyTorch's pickler writes down as a persistent id."""

    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key, self.array = key, array


def write_torch_file(
    path: Path, state: Arrays, patch: pytest.MonkeyPatch, strides: Any = None
) -> None:
    """What `torch.save` writes, as its serialization.py has it, without PyTorch."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    kind = type("FloatStorage", (), {"__module__": "torch"})

    def rebuild(*_: Any) -> None:
        """Called in reading alone."""

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    patch.setattr(torch, "FloatStorage", kind, raising=False)
    patch.setattr(utils, "_rebuild_tensor_v2", rebuild, raising=False)
    patch.setitem(sys.modules, "torch", torch)
    patch.setitem(sys.modules, "torch._utils", utils)

    class Tensor:
        def __init__(self, key: str, array: np.ndarray) -> None:
            self.storage, self.array = Storage(key, array), array

        def __reduce__(self) -> Any:
            steps = strides or tuple(n // 4 for n in self.array.strides)
            hooks: Any = OrderedDict()
            return rebuild, (self.storage, 0, self.array.shape, steps, False, hooks)

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, Storage):
                return "storage", kind, obj.key, "cpu", obj.array.size
            return None

    tensors = {name: Tensor(str(n), a) for n, (name, a) in enumerate(state.items())}
    pickled = io.BytesIO()
    Pickler(pickled, protocol=2).dump(OrderedDict(tensors))
    with ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        archive.writestr("archive/byteorder", "little")
        for tensor in tensors.values():
            key = tensor.storage.key
            archive.writestr(f"archive/data/{key}", tensor.array.tobytes())


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pth", ".PT"])
def test_a_state_dict_is_the_same_in_every_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = tmp_path / f"alexnet{ending}"
    state: dict[str, Any] = dict(state_dict())
    if ending == ".npz":
        np.savez(path, **state)
    elif ending == ".safetensors":
        save_file(state, path)
    else:
        write_torch_file(path, state, monkeypatch)
    arrays = read_weights(path)
    layers = [f"conv{n}" for n in range(1, 6)] + ["dense6", "dense7", "dense8"]
    names = [f"{layer}/{kind}" for layer in layers for kind in ("kernel", "bias")]
    assert sorted(arrays) == sorted(names)
    assert (
        arrays["conv1/kernel"][10, 9, 2, 3] == state["features.0.weight"][3, 2, 10, 9]
    )
    assert arrays["dense7/kernel"][5, 7] == state["classifier.4.weight"][7, 5]
    # Row 4, column 5 and channel 9 of the maps that are flattened.
    here, there = (4 * 6 + 5) * 16 + 9, (9 * 6 + 4) * 6 + 5
    assert arrays["dense6/kernel"][here, 3] == state["classifier.1.weight"][3, there]


class Harmful:
    """A pickle that would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_names_other_code_is_not_run(tmp_path: Path) -> None:
    path, folder = tmp_path / "weights.pth", tmp_path / "made"
    with ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": Harmful(folder)}))
    with pytest.raises(DataError, match=r"names (posix|nt)\.mkdir.*weights_only=True"):
        read_weights(path)
    assert not folder.exists()


def test_a_tensor_cannot_leave_its_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    state = {"a": np.zeros((4, 4), np.float32)}
    write_torch_file(path, state, monkeypatch, strides=(4, 1000))
    with pytest.raises(DataError, match="cannot be read as weights"):
        read_weights(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "it is no zip"),
        ("a.npz", b"none", "a.npz cannot be read as weights"),
        ("a.npz", pickle.dumps([1]), "a.npz cannot be read as weights"),
        ("a.safetensors", b"none", "a.safetensors cannot be read as weights"),
        ("a.keras", b"none", "a.keras cannot be read as weights: File is not a zip"),
        ("a.h5", b"none", r"needs one of \.keras, \.safetensors, \.pth, \.pt, \.npz"),
    ],
)
def test_other_files_are_told(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_weights(tmp_path / name)


def test_a_zip_that_pytorch_has_not_written(tmp_path: Path) -> None:
    for content in ({}, {"archive/data.pkl": pickle.dumps({"epoch": 3})}):
        path = tmp_path / "weights.pt"
        with ZipFile(path, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
        with pytest.raises(DataError, match=r"it (has no data\.pkl|holds no state)"):
            read_weights(path)


def test_a_keras_file(tmp_path: Path) -> None:
    layers = [keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2, name="head")]
    network = keras.Sequential([keras.Input((4,)), *layers])
    network.save(tmp_path / "network.keras")
    arrays = read_weights(tmp_path / "network.keras")
    assert list(arrays) == ["hidden/kernel", "hidden/bias", "head/kernel", "head/bias"]
    for array, expected in zip(arrays.values(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_layers_of_others_in_a_keras_file_are_not_imported(tmp_path: Path) -> None:
    double = keras.layers.Lambda(lambda x: 2 * x)
    keras.Sequential([keras.Input((4,)), double]).save(tmp_path / "a.keras")
    with pytest.raises(DataError, match="layers that are not Keras's: "):
        read_weights(tmp_path / "a.keras")
