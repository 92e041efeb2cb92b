"""The card of a record set: what is saved is what is loaded, damage is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import BuildConfig
from pipeline.errors import DataError
from pipeline.manifest import Manifest, Shard, SplitCard, load_manifest

MANIFEST = Manifest(
    config=BuildConfig("raw", side=64),
    class_names=("cat", "größe"),
    splits={
        "train": SplitCard(
            (
                Shard("train-00000-of-00002.tfrecord", 3, 1000, 7),
                Shard("train-00001-of-00002.tfrecord", 4, 2000, 2**32 - 1),
            ),
            (5, 2),
        ),
        "validation": SplitCard((), (0, 0)),
    },
    quarantined=1,
    source_fingerprint="abc",
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    MANIFEST.save(tmp_path)
    assert load_manifest(tmp_path) == MANIFEST
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8") == "cat\ngröße\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset.json",
        "labels.txt",
    ]


def test_a_label_is_a_line_whatever_its_name(tmp_path: Path) -> None:
    names = ("two\nlines", "not \udcff UTF-8")
    manifest = dataclasses.replace(MANIFEST, class_names=names)
    manifest.save(tmp_path)
    labels = (tmp_path / "labels.txt").read_bytes()
    assert labels == b"two\\nlines\nnot \xff UTF-8\n"
    assert load_manifest(tmp_path).class_names == names


def test_a_card_adds_up_its_shards() -> None:
    card = MANIFEST.split("train")
    assert (card.num_examples, card.num_bytes) == (7, 3000)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_split_that_is_empty_or_unknown_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=rf"no {name} examples \(they have: train\)"):
        MANIFEST.split(name)


def test_a_folder_that_is_no_record_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder: .*gone.*records build"):
        load_manifest(tmp_path / "gone")
    with pytest.raises(DataError, match=r"no finished record set.*records build"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 99}, "format 99, this version reads"),
        ({"config": {"side": 0}}, "side is 0"),
        ({"config": {"sise": 8}}, "unknown BuildConfig settings: sise"),
        ({"config": 3}, "int"),
        ({"splits": []}, "items"),
        ({"class_names": None}, "NoneType"),
        (
            {
                "splits": {
                    "train": {
                        "shards": [
                            {
                                "name": "../x",
                                "num_examples": 1,
                                "num_bytes": 1,
                                "crc32c": 1,
                            }
                        ],
                        "class_counts": [1],
                    }
                }
            },
            "'../x' lies outside",
        ),
    ],
)
def test_a_damaged_card_is_told(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    MANIFEST.save(tmp_path)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=f"dataset.json is damaged.*{reason}"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_card_that_is_no_card(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json is damaged"):
        load_manifest(tmp_path)
