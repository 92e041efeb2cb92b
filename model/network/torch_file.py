"""Tensors of a file that `torch.save` wrote, read without PyTorch.

Such a file is a zip: a pickle that says how tensors lie in storages, and the storages'
bytes. A pickle can call any function it names; here it is given those that put tensors
together, and nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn
from zipfile import ZipFile, is_zipfile

import numpy as np

# Errors that a damaged pickle may raise.
MALFORMED: tuple[type[Exception], ...] = (
    *(ArithmeticError, AttributeError, EOFError, ImportError, LookupError),
    *(TypeError, ValueError, pickle.UnpicklingError),
)
# Element types of storages, in NumPy's words.
TYPES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "Long": "<i8"}


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict: arrays by name.

    Raises:
        ValueError: it is of another format, or holds more than tensors.
    """
    if not is_zipfile(path):
        _refuse("it is no zip, as PyTorch has written them since version 1.6", path)
    with ZipFile(path) as archive:
        try:
            state = _TensorUnpickler(archive).load()
        except MALFORMED as error:
            _refuse(str(error), path)
    is_state = isinstance(state, dict) and all(
        isinstance(value, np.ndarray) for value in state.values()
    )
    if not is_state:
        _refuse("it holds no state dict, which is tensors by name", path)
    return {str(name): array for name, array in state.items()}


def _refuse(reason: str, path: Path) -> NoReturn:
    code = (
        "import torch, sys;"
        " torch.save(torch.load(sys.argv[1], weights_only=True), sys.argv[2])"
    )
    raise ValueError(
        f"{reason}. Where PyTorch is, this writes a state dict anew:"
        f' python -c "{code}" {path} weights.pth'
    )


class _TensorUnpickler(pickle.Unpickler):
    """A reader of `data.pkl` that knows ordered dicts, storages and tensors alone."""

    def __init__(self, archive: ZipFile) -> None:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it has no data.pkl, which says where tensors lie")
        super().__init__(io.BytesIO(archive.read(pickles[0])))
        self._archive, self._folder = archive, pickles[0].removesuffix("data.pkl")
        order = f"{self._folder}byteorder"
        if order in names and archive.read(order) != b"little":
            raise ValueError("its numbers are not little-endian")

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name in the pickle means: methods, which it cannot change."""
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            **{("torch", f"{k}Storage"): np.dtype(v) for k, v in TYPES.items()},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which is none of a tensor's and not run"
            )
        return known[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        """A storage, by the type and the key that the pickle names."""
        _, dtype, key, _, count = pid
        content = self._archive.read(f"{self._folder}data/{key}")
        return np.frombuffer(content, dtype, count)

    def _tensor(
        self,
        storage: np.ndarray,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_: Any,
    ) -> np.ndarray:
        """A view of a storage; NumPy refuses one that leaves it."""
        size = storage.itemsize
        steps = [stride * size for stride in strides]
        return np.ndarray(shape, storage.dtype, storage.data, offset * size, steps)

    def _parameter(self, data: np.ndarray, *_: Any) -> np.ndarray:
        return data
