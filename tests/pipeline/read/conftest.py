"""What tests of reading share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import alexnet.pipeline.read.mapped
from alexnet.pipeline.read.decode import decode_images


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call has decoded for a mapped batch."""
    counts: list[int] = []

    def counting(count: int, *arguments: Any) -> np.ndarray:
        counts.append(count)
        return decode_images(count, *arguments)

    monkeypatch.setattr(alexnet.pipeline.read.mapped, "decode_images", counting)
    return counts
