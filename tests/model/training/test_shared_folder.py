"""Files that another machine writes: seen late, or never."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from alexnet.model.training.shared_folder import is_seen


def test_a_file_that_shows_up_later_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "config.json"
    assert not is_seen(path, seconds=0)
    path.parent.mkdir()
    monkeypatch.setattr(time, "sleep", lambda _: path.touch())
    assert is_seen(path, seconds=60)
