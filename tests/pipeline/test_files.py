"""Files are whole or absent, and a full disk is noticed beforehand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from alexnet.pipeline.errors import DataError
from alexnet.pipeline.files import (
    atomic_path,
    count,
    fingerprint,
    format_bytes,
    name_some,
    require_room,
    write_json,
)


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    with atomic_path(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "shard"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as partial:
        partial.write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]
    assert path.read_text() == "old"


def test_what_a_killed_run_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    (tmp_path / ".shard.partial").write_text("left over, and longer")
    with atomic_path(path) as partial, partial.open("w") as file:
        file.write("new")
    assert [p.name for p in tmp_path.iterdir()] == ["shard"]
    assert path.read_text() == "new"


def test_fingerprints_are_of_the_value_not_of_its_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint(["\udcff"]) != fingerprint(["?"])


def test_room_is_asked_of_the_nearest_folder_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def disk_usage(path: Path) -> SimpleNamespace:
        asked.append(Path(path))
        return SimpleNamespace(free=2**20)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    require_room(tmp_path / "not" / "yet", 2**20)
    assert asked == [tmp_path]
    with pytest.raises(DataError, match=r"1\.0 MiB are needed, 1\.0 MiB are free"):
        require_room(tmp_path, 2**20 + 1)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (18_432, "18.0 KiB"),
        (128 * 2**20, "128.0 MiB"),
        (1.5 * 2**30, "1.5 GiB"),
        (5 * 2**40, "5.0 TiB"),
    ],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (1, ("line",), "1 line"),
        (0, ("line",), "0 lines"),
        (1200, ("line",), "1,200 lines"),
        (1, ("class", "classes"), "1 class"),
        (2, ("class", "classes"), "2 classes"),
    ],
)
def test_numbers_of_things(number: int, words: tuple[str, ...], text: str) -> None:
    assert count(number, *words) == text


def test_a_sentence_names_a_few_of_many() -> None:
    names = [f"class {number}" for number in range(10_000)]
    assert name_some(["cat", "dog"]) == "cat, dog"
    assert name_some(names, most=2) == "class 0, class 1, ... (10,000 in all)"
    assert len(name_some(names)) < 80


def test_a_name_is_on_the_disk_before_it_is_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file before it gets its name, the folder that holds the name after it."""
    synced = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, (tmp_path / "card.json").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(tmp_path / "card.json", {})
    assert synced == [(".card.json.partial", False), (tmp_path.name, True)]


def test_json_ends_with_a_line_end(tmp_path: Path) -> None:
    write_json(tmp_path / "card.json", {"a": 1})
    assert (tmp_path / "card.json").read_text() == '{\n  "a": 1\n}\n'
