"""Names for pictures are on one line, short, and can be drawn."""

from __future__ import annotations

import os

import pytest

from alexnet.pipeline.pictures import LONGEST, legible


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("Ba$$in", "Ba$$in"),
        ("猫 🐈", "猫 🐈"),
        ("two\nlines", r"two\nlines"),
        ("nul\0", r"nul\x00"),
        (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
        ("a" * LONGEST, "a" * LONGEST),
        (f"start{'x' * 100}end.jpg", "startxxxxxxxxxxx…xxxxxxxxend.jpg"),
    ],
)
def test_names(name: str, shown: str) -> None:
    assert legible(name) == shown
    assert len(shown) <= LONGEST
