"""A store whose disk fails; imported by worker processes, so kept light."""

from __future__ import annotations

import os
from pathlib import Path

from alexnet.pipeline.source.stores import FolderStore

OUT_OF_MEMORY = -1


class FailingStore(FolderStore):
    """Fails to read some files, as long as another file is there.

    `failures` are error numbers by key. Each failure adds a line to the file.
    """

    def __init__(self, root: Path, failing: Path, failures: dict[str, int]) -> None:
        super().__init__(root)
        self.failing, self.failures = failing, failures

    def read(self, key: str, num_bytes: int = -1) -> bytes:
        number = self.failures.get(key)
        if number is None or not self.failing.exists():
            return super().read(key, num_bytes)
        with self.failing.open("a") as file:
            file.write(f"{key}\n")
        if number == OUT_OF_MEMORY:
            raise MemoryError
        raise OSError(number, os.strerror(number))
